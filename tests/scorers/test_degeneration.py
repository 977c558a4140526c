"""Empty, repetitive, not text: what is caught, and what must not be."""

from __future__ import annotations

import random

import pytest

from audit.scorers import get
from audit.scorers.degeneration import MIN_TOKENS, REPETITION, is_nontext, is_repetitive, rep_n, tail_loop

WRITING = {
    "english": "She opened the window and looked at the harbour, where two boats were leaving.",
    "short": "Yes.",
    "number": "1,024",
    "chinese": "今天天气很好, 我们一起去公园散步, 然后在湖边的小店里喝茶聊天。",
    "japanese": "昨日は友達と映画を見て、それから駅の近くで晩ご飯を食べました。",
    "korean": "어제는 친구와 함께 영화를 보고 저녁을 먹었습니다.",
    "arabic": "ذهبنا أمس إلى السوق واشترينا الخبز والفاكهة ثم عدنا إلى البيت.",
    "hebrew": "אתמול הלכנו לשוק וקנינו לחם ופירות, ואחר כך חזרנו הביתה.",
    "persian": "دیروز با دوستم به کتابخانه رفتیم و چند کتاب تازه گرفتیم.",
    "hindi": "कल हम बाज़ार गए और फल और सब्ज़ियाँ खरीदकर घर लौट आए।",
    "bengali": "গতকাল আমরা নদীর ধারে হাঁটতে গিয়েছিলাম।",
    "tamil": "நேற்று நாங்கள் கடற்கரைக்குச் சென்றோம்.",
    "thai": "เมื่อวานนี้เราไปตลาดและซื้อผลไม้กลับบ้าน",
    "burmese": "မနေ့က ကျွန်တော်တို့ ဈေးသွားခဲ့တယ်။",
    "amharic": "ትናንት ወደ ገበያ ሄድን እና ዳቦ ገዛን።",
    "georgian": "გუშინ ბაზარში წავედით და პური ვიყიდეთ.",
    "russian": "Вчера мы ходили на рынок и купили хлеб и яблоки.",
    "greek": "Χθες πήγαμε στην αγορά και αγοράσαμε ψωμί.",
    "vietnamese": "Hôm qua chúng tôi đi chợ và mua bánh mì.",
    "german": "Die Donaudampfschifffahrtsgesellschaftskapitänsmütze lag auf dem Tisch.",
    "emoji": "\U0001f602\U0001f44d\U0001f3fd \u2764\ufe0f",
    "code": "for (int i = 0; i < n; ++i) { a[i] += b[i] * (c[i] - 1); }",
    "python": "def f(x):\n    return {k: v for k, v in x.items() if v > 0}\n",
    "table": "| name | age |\n| --- | --- |\n| Ada | 36 |\n| Alan | 41 |\n",
    "address": "See https://example.org/a/b?c=1&d=2#e and write to someone@example.org.",
    "refrain": "Row, row, row your boat, gently down the stream. Merrily, merrily, merrily, life is a dream.",
    "said twice": "I do not know what to say about this. I do not know what to say about this.",
    "cut emoji": "Have a nice day \ufffd\ufffd",
    "emphatic": "No, no, no, no!",
}


def values(text: str) -> dict[str, float]:
    (result,) = get("degeneration").score([text])
    assert result.values is not None
    return dict(result.values)


@pytest.mark.parametrize("kind", WRITING)
def test_writing_in_any_script_is_not_degenerate(kind: str) -> None:
    assert values(WRITING[kind]) == {"empty": 0.0, "repetitive": 0.0, "nontext": 0.0, "degenerate": 0.0}


@pytest.mark.parametrize("text", ["", "  \n", "\u200b\u200b", "\x00"])
def test_an_answer_without_anything_visible_is_empty_and_nothing_else(text: str) -> None:
    assert values(text) == {"empty": 1.0, "repetitive": 0.0, "nontext": 0.0, "degenerate": 1.0}


@pytest.mark.parametrize(
    "text",
    [
        "the the the the the the the the the the the the",
        "I am a good person. " * 3,
        "The man said that the man said that the man said that the man said that",
        "We had a long talk about the weather and then she said I love you. " + "I love you. " * 4,
        "我喜欢你。我喜欢你。我喜欢你。我喜欢你。",
        "hahahahahahahahahahahahahahahahahahahahahaha",
        "0000000000000000000000000000000000000000000000",
        "A healthy start of an answer that goes on for a while. " + "and so on and " * 300,
        "spam and eggs " * 100 + "Then he stopped and told another story about a fox, a crow and a cheese in a tree.",
    ],
)
def test_loops_are_repetitive(text: str) -> None:
    assert values(text)["repetitive"] == values(text)["degenerate"] == 1.0


def test_a_short_answer_cannot_be_repetitive() -> None:
    assert not is_repetitive("go " * (MIN_TOKENS - 1))
    assert is_repetitive("go " * MIN_TOKENS)


@pytest.mark.parametrize("length", range(4, 60))
def test_twice_the_same_is_not_repetitive_and_three_times_is(length: int) -> None:
    phrase = [f"w{i}" for i in range(length)]
    assert rep_n(phrase * 2) < REPETITION <= rep_n(phrase * 3)
    # 3L - 3 four-grams of which L differ
    assert rep_n(phrase * 3) == pytest.approx(1 - length / (3 * length - 3))


def test_rep_n_equals_a_count_by_hand() -> None:
    tokens = ["a", "b", "a", "b", "a", "b"]  # abab, baba, abab: 2 of 3 differ
    assert rep_n(tokens) == pytest.approx(1 / 3)
    assert rep_n(tokens, 2) == pytest.approx(3 / 5)
    assert rep_n(["a", "b", "c"]) == 0.0


def test_tail_loop_measures_the_run_at_the_end() -> None:
    assert tail_loop(["x", "y", "a", "b", "a", "b", "a", "b"]) == 6
    assert tail_loop(["x", "b", "a", "b", "a", "b", "a", "b"]) == 7  # the first copy is cut
    assert tail_loop(["x", "a", "b", "a", "b"]) == 0  # twice is no loop
    assert tail_loop(["a", "b", "a", "b", "a", "b", "x"]) == 0
    assert tail_loop([]) == 0


def test_random_words_are_not_repetitive_at_any_length() -> None:
    state = random.Random(3)
    words = [f"w{state.randrange(50)}" for _ in range(5_000)]
    assert not any(is_repetitive(" ".join(words[:n])) for n in (12, 50, 400, 5_000))


@pytest.mark.parametrize(
    "text",
    [
        "!!!!!!!!!!!!!!!!",
        "...",
        "}); }); }); ]]",
        "----------------------------",
        "\ufffd\ufffd\ufffd\ufffd",
        "ab\ufffd\ufffd",
        "\ud800\udc00\ud800",
        "\ue000\ue001\ue002",
        "a\x00\x01\x02\x03",
        "\u2588\u2588\u2588\u2591\u2591",
    ],
)
def test_what_cannot_be_read_is_not_text(text: str) -> None:
    assert is_nontext(text)
    assert values(text)["nontext"] == values(text)["degenerate"] == 1.0


def test_the_thresholds_are_where_they_are_said_to_be() -> None:
    assert not is_nontext("a" + "!" * 3)  # one quarter
    assert is_nontext("a" + "!" * 4)
    assert not is_nontext("a" * 8 + "\ufffd" * 3)  # 3 of 11
    assert is_nontext("a" * 7 + "\ufffd" * 3)  # 3 of 10
    assert not is_nontext("")
