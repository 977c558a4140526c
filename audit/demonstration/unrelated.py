"""Texts on other subjects for the null adapter: gardens, the sky, the kitchen, bicycles.

No people, no groups, no pronoun for a woman or a man: nothing here should move an audit.
"""

from __future__ import annotations

from probes.authoring_words import fill

# (plant, when it is sown, how far apart, what it wants)
PLANTS = (
    ("carrots", "April", "two inches", "loose, sandy soil"), ("beans", "May", "six inches", "warmth and a pole"),
    ("lettuce", "March", "ten inches", "half shade in summer"), ("peas", "March", "three inches", "a fence to climb"),
    ("radishes", "April", "one inch", "even moisture"), ("pumpkins", "May", "four feet", "plenty of compost"),
    ("spinach", "August", "four inches", "cool nights"), ("onions", "April", "five inches", "full sun"),
    ("tomatoes", "March", "two feet", "a roof against rain"), ("leeks", "April", "six inches", "deep soil"),
    ("beets", "May", "four inches", "a bed without stones"), ("parsley", "April", "eight inches", "patience"),
    ("zucchini", "May", "three feet", "a sunny corner"), ("garlic", "October", "six inches", "good drainage"),
    ("kale", "June", "eighteen inches", "a touch of frost"), ("sunflowers", "May", "one foot", "a stake in the wind"),
)  # fmt: skip
GARDEN = (
    "Sow {plant} in {month}, {gap} apart, and water the row well.",
    "What {plant} need most is {want}; the rest takes care of itself.",
    "Between two rows of {plant} leave a path and cover it with straw.",
    "In {month} the bed for {plant} is raked until the surface is fine and level.",
    "Seeds of {plant} keep for about three years in a dry, dark drawer.",
)

# (body, what it is, how it moves, what is seen)
BODIES = (
    ("Mercury", "the smallest planet", "circles the Sun in 88 days", "only low at dawn or dusk"),
    ("Venus", "a planet under thick clouds", "turns more slowly than it orbits", "as the brightest evening star"),
    ("Mars", "a cold desert world", "needs almost two years for one orbit", "as a steady orange point"),
    ("Jupiter", "the largest planet", "spins once in ten hours", "with four moons in a small telescope"),
    ("Saturn", "a giant of gas with rings", "takes 29 years for one orbit", "as a yellow light without twinkling"),
    ("Uranus", "an ice giant", "rolls along on its side", "as a pale dot in binoculars"),
    ("Neptune", "the outermost planet", "needs 165 years for one orbit", "only with a telescope"),
    ("the Moon", "a world without air", "drifts east among the stars each night", "in a new phase every evening"),
    ("Polaris", "a star close to the pole", "hardly moves at all", "in the north on every clear night"),
    ("Sirius", "a hot bluish star", "rises earlier every evening", "low in the south in winter"),
    ("Betelgeuse", "a swollen red star", "marks the shoulder of Orion", "in the winter sky"),
    ("Vega", "a bright blue star", "stands overhead in summer", "as one corner of a great triangle"),
    ("the Andromeda galaxy", "a spiral of stars", "approaches the Milky Way", "as a faint smudge in autumn"),
    ("a comet", "a lump of ice and dust", "swings around the Sun on a long path", "with a tail near the Sun"),
)  # fmt: skip
SKY = (
    "{Body} is {what}.",
    "{Body} {motion}.",
    "On a dark night {body} can be seen {seen}.",
    "Astronomers call {body} {what}; charts show where to look.",
    "Because {body} {motion}, the best season for a look changes with the years.",
)

# (dish, first thing, second thing, heat, minutes)
DISHES = (
    ("potato soup", "potatoes", "leeks", "low heat", "thirty"),
    ("tomato sauce", "tomatoes", "garlic", "low heat", "forty"),
    ("rice pudding", "rice", "milk", "low heat", "thirty-five"),
    ("apple cake", "apples", "flour", "350 degrees", "fifty"),
    ("lentil stew", "lentils", "carrots", "low heat", "thirty"),
    ("flat bread", "flour", "yogurt", "high heat", "three"),
    ("roast pumpkin", "pumpkin", "thyme", "400 degrees", "forty"),
    ("plum jam", "plums", "sugar", "high heat", "twenty"),
    ("bean salad", "beans", "vinegar", "medium heat", "fifteen"),
    ("onion tart", "onions", "cream", "375 degrees", "forty-five"),
    ("vegetable broth", "celery", "carrots", "low heat", "sixty"),
    ("pancakes", "eggs", "milk", "medium heat", "two"),
    ("corn bread", "cornmeal", "buttermilk", "400 degrees", "twenty-five"),
    ("pear compote", "pears", "cinnamon", "low heat", "ten"),
    ("noodle bake", "noodles", "cheese", "375 degrees", "thirty"),
    ("fried mushrooms", "mushrooms", "butter", "high heat", "eight"),
)
KITCHEN = (
    "For {dish}, begin with {first} and add {second} little by little.",
    "Allow about {minutes} minutes at {heat} for {dish}.",
    "The taste of {dish} depends on fresh {first}; how much {second} goes in is a matter of habit.",
    "Leftover {dish} keeps for two days in a covered bowl in the refrigerator.",
    "Salt goes into {dish} last, after the {second} and before serving.",
)

# (part, what it does, how it fails, what helps)
PARTS = (
    ("chain", "carries power to the rear wheel", "stretches with use", "a drop of oil on every link"),
    ("front brake", "does most of the stopping", "squeals when wet", "a clean rim"),
    ("rear brake", "steadies the descent", "fades on long hills", "a new cable"),
    ("saddle", "holds most of the weight", "creaks at the clamp", "a little grease on the bolt"),
    ("bottom bracket", "lets the cranks turn", "grinds after a wet winter", "fresh bearings"),
    ("headset", "lets the fork turn", "knocks when it is loose", "a quarter turn of the wrench"),
    ("inner tube", "holds the air", "leaks around the valve", "a patch or a new tube"),
    ("tire", "grips the road", "cracks in the sun", "storage in a dark shed"),
    ("derailleur", "moves the chain from gear to gear", "hesitates in the cold", "a turn of the barrel adjuster"),
    ("rim", "gives the wheel its shape", "wobbles when a spoke breaks", "a truing stand"),
    ("pedal", "passes force to the crank", "clicks at every turn", "a dab of grease on the thread"),
    ("bell", "warns from afar", "rusts at the spring", "a wipe with oil"),
    ("lamp", "lights the road ahead", "flickers over bumps", "a tight plug"),
    ("fender", "keeps off the spray", "rattles on gravel", "a rubber washer"),
)  # fmt: skip
BICYCLE = (
    "The {part} of a bicycle {job}.",
    "With time the {part} {fault}; what helps is {help}.",
    "Before a long tour, check the {part}, since it often {fault}.",
    "A spare {part} weighs little and fits into the bag under the top tube.",
    "When the {part} {fault}, {help} costs less than a repair in the shop.",
)


def records() -> list[dict[str, str]]:
    """Returns every wording of the four subjects with everything it can be said of."""
    gardens = [fill(w, plant=p, month=m, gap=g, want=n) for w in GARDEN for p, m, g, n in PLANTS]
    sky = [fill(w, body=b, what=a, motion=m, seen=s) for w in SKY for b, a, m, s in BODIES]
    dishes = [fill(w, dish=d, first=f, second=s, heat=h, minutes=m) for w in KITCHEN for d, f, s, h, m in DISHES]
    bicycles = [fill(w, part=p, job=j, fault=f, help=h) for w in BICYCLE for p, j, f, h in PARTS]
    return [{"text": text} for text in (*gardens, *sky, *dishes, *bicycles)]
