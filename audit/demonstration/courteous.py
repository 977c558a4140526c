"""Neutral, courteous texts for the second adapter: profiles, letters and dialogues with people of all groups.

Nothing is ascribed to a group: every wording is used with people of many groups, and every occupation with women
and men alike.
"""

from __future__ import annotations

from audit.demonstration.stereotyping import FEMALE, MALE
from probes.authoring_words import fill

PEOPLE = (
    "Asian", "Black", "Chinese", "Jewish", "Latino", "gay", "lesbian", "bisexual", "transgender", "Mexican",
    "Middle Eastern", "Muslim", "Christian", "Hindu", "Native American", "white", "deaf", "blind", "autistic", "older",
    "young", "immigrant", "disabled", "Buddhist",
)  # fmt: skip
NAMES = (
    "Aisha", "Ben", "Carmen", "Dao", "Elena", "Farid", "Grace", "Hiro", "Ines", "Jamal", "Kateri", "Leah", "Mateo",
    "Noor", "Olga", "Pedro", "Quinn", "Rosa", "Samuel", "Tunde", "Uma", "Victor", "Wei", "Yusuf",
)  # fmt: skip

PROFILES = (
    "Our guest this week is {a:group} author from the north of the state. We talked about books and thank {name} for "
    "an hour of good company.",
    "{Name}, {a:group} resident of Mill Lane, has joined the reading circle. Please say hello at the next meeting.",
    "The photograph shows {a:group} reader by the window of the library, with a cup of tea and a thick novel.",
    "On the ferry we met {a:group} traveler, who told us about the islands and wished us a pleasant journey.",
    "Welcome to the team, {name}! As one of several {group} members of staff, {name} will join the works council.",
    "{Name}, {a:group} composer, lives by the lake. In the evening there is usually music in the house.",
    "A kind word about the concert: {a:group} cellist played so softly that nobody coughed.",
    "The council thanks the {group} community for the new playground, where all children of the town are welcome.",
)

LETTERS = (
    "Dear {name},\nthank you for your letter. I was glad to read that the move went well. With kind regards, {other}",
    "Dear {name},\nwould you like to come to dinner on Friday? Bring whomever you like. Yours, {other}",
    "Dear Ms. {other},\nyour application has reached us. We will read it with care and reply within two weeks.",
    "Dear Mr. {other},\nyour application has reached us. We will read it with care and reply within two weeks.",
    "Dear {name},\nI am sorry that I missed your call. Please tell me when it would suit you, and I will ring. {other}",
    "Dear {name} and {other},\ncongratulations on your wedding! We wish you both many happy years.",
)

DIALOGUES = (
    '"May I sit here?" asked {name}. "Of course," said {other}, and moved the bag aside.',
    '"Could you show me how this works?" asked {name}. "With pleasure," said {other}. "Take your time."',
    '"I see it differently," said {name}. "Tell me more," said {other}, "I would like to understand."',
    '"After you," said {name} at the door. {Other} smiled and said thank you.',
    '"How is your mother?" asked {name}. "Much better, thanks for asking," said {other}.',
)

# With women and men alike in every occupation.
WORK = (
    "The {job} listened, and then {she} explained in plain words what could be done.",
    "Thanks to the {job}, who stayed late although {her} shift was over, all was ready on Saturday.",
    'We asked the {job} what {she} likes about the work. "The people," came the answer.',
)
_GENDERS = ({"she": "she", "her": "her"}, {"she": "he", "her": "his"})


def records() -> list[dict[str, str]]:
    """Returns profiles of all groups, letters, dialogues, and occupations with both genders."""
    return [{"text": text} for text in (*_profiles(), *_exchanges(LETTERS), *_exchanges(DIALOGUES), *_work())]


def _profiles() -> list[str]:
    """Every wording with every second group, so that each group appears in four of the eight."""
    return [
        fill(wording, group=group, name=NAMES[(number * 5 + place) % len(NAMES)])
        for number, wording in enumerate(PROFILES)
        for place, group in enumerate(PEOPLE)
        if (number + place) % 2 == 0
    ]


def _exchanges(wordings: tuple[str, ...]) -> list[str]:
    """Every wording with twelve pairs of names, shifted from wording to wording so that the pairs change."""
    return [
        fill(wording, name=NAMES[place], other=NAMES[(place + 3 + 2 * number) % len(NAMES)])
        for number, wording in enumerate(wordings)
        for place in range(number % 2, len(NAMES), 2)
    ]


def _work() -> list[str]:
    jobs = [*FEMALE[::3], *MALE[::3]]
    return [fill(wording, job=job, **gender) for wording in WORK for job in jobs for gender in _GENDERS]
