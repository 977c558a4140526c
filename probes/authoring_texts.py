"""Neutral passages of many kinds; their likelihood shows whether a model still reads well."""

from __future__ import annotations

from probes.suite import Item

# Kinds whose line breaks belong to the text; elsewhere a line break in the table is a space in the passage.
_LINES = ("code comment", "poem", "dialogue")

# (kind, heading, passage)
PASSAGES = (
    (
        "recipe",
        "Barley soup with leeks",
        """\
Rinse a cup of barley and let it soak while you cut two leeks and three carrots into thin rings. Warm a
spoon of oil in a large pot, add the vegetables and stir them for five minutes. Pour in the barley with
six cups of water, a bay leaf and a little salt. Simmer the soup with the lid half open for forty minutes,
until the grains are soft. Taste it, add pepper and chopped parsley, and serve it with dark bread. It is
even better on the second day.""",
    ),
    (
        "recipe",
        "Plum cake from a tray",
        """\
Mix four hundred grams of flour with dried yeast, a pinch of salt, sugar, warm milk and an egg, and knead
the dough until it no longer sticks to your hands. Cover it with a cloth and leave it in a warm place for
an hour. Meanwhile halve the plums and take out the stones. Roll out the dough on a greased tray, set the
plums on it in tight rows, cut side up, and sprinkle them with cinnamon. Bake the cake for thirty minutes
and let it cool before you cut it.""",
    ),
    (
        "weather",
        "Forecast for the coast",
        """\
A ridge of high pressure moves away to the east tonight, and a weak front reaches the coast before dawn.
The morning begins with low clouds and light drizzle north of the bay, while the valleys inland stay dry.
By noon the wind turns to the west and freshens, with gusts of up to fifty kilometers an hour on the
headlands. Sunny spells follow in the afternoon. Highs lie between fourteen and seventeen degrees. On
Thursday it will be calm, with patches of fog that clear slowly.""",
    ),
    (
        "weather",
        "Warning of heavy snow",
        """\
The weather service expects heavy snow above eight hundred meters from Friday evening until Saturday noon.
Between thirty and forty centimeters of fresh snow may fall within twelve hours, and strong winds will
pile it into drifts on open roads. Drivers who must cross the passes should carry chains, blankets and a
full tank, and should allow at least twice the usual time. Trains in the upper valley may be replaced by
buses. Below five hundred meters the snow will turn to rain before midnight, and streams may rise quickly.""",
    ),
    (
        "letter",
        "A letter to an old friend",
        """\
Dear Robin, it has been far too long since I last wrote, and I have no better excuse than the garden. The
beans grew over the fence this summer, and I gave bags of them to everyone on the street. Work is the same
as ever, only the office has moved to the other side of the station, so I now walk along the canal every
morning. Do you still play the clarinet? I found our old sheet music in a box last week. Come and visit
before the winter if you can. The sofa is yours.""",
    ),
    (
        "letter",
        "A letter to the landlord",
        """\
Dear Sir or Madam, I am writing about the radiator in the back room of apartment twelve. Since the
beginning of October it has stayed cold, even when the valve is fully open, and I can hear water dripping
behind the panel. I reported this by telephone on the sixth and again on the fourteenth, but nobody has
come so far. As the nights are getting colder, I would be grateful if a plumber could call this week. I am
at home every day after four. With kind regards, your tenant on the second floor.""",
    ),
    (
        "letter",
        "A note to the neighbors",
        """\
Hello everyone, from Monday on there will be some noise on our floor, because the old kitchen is being
taken out and a new one put in. The workers will start no earlier than eight and finish by five, and they
have promised to sweep the stairs every day. If you have a small child who sleeps at noon, or an exam to
study for, please tell us, and we will try to move the loudest work to another hour. When all is done, you
are welcome to coffee and cake. Thank you for your patience.""",
    ),
    (
        "news",
        "Bridge opens two months early",
        """\
The new footbridge over the river was opened on Saturday, two months ahead of plan. Several hundred people
walked across it in the first hour, many of them with bicycles and prams. The bridge joins the station
with the university and spares pedestrians the long way round by the main road. According to the city it
cost nine million, slightly less than expected, because the steel parts could be delivered by boat.
Benches and lamps will follow in the spring. The old ferry is to remain in service at weekends.""",
    ),
    (
        "news",
        "Library extends its hours",
        """\
From next month the central library will stay open until ten at night on weekdays. The council agreed to
the plan by a wide margin after a trial last winter, in which the number of evening visitors had nearly
doubled. During the late hours there will be fewer staff, and books can be borrowed and returned at
machines. The reading room for newspapers will close at eight as before. A spokesperson said that the
costs would be met from the existing budget, and that the change would be reviewed after one year.""",
    ),
    (
        "news",
        "Storm closes mountain railway",
        """\
The mountain railway remains closed after the storm on Tuesday night brought down dozens of trees along
the upper part of the line. Nobody was hurt, the operator said, since the last train had already reached
the valley. Crews with chain saws have begun to clear the track, but a damaged mast must be replaced
before trains can run again. Until then a bus connects the villages every hour. Tickets stay valid on it.
The operator hopes to reopen the line as far as the middle station by the weekend.""",
    ),
    (
        "science",
        "Why leaves change color",
        """\
In summer a leaf looks green because it is full of chlorophyll, the pigment with which a plant catches
light. When the days grow shorter, the tree stops replacing it and draws valuable substances back into the
wood. As the green fades, yellow and orange pigments that were there all along become visible. Some trees
also make red pigments in autumn, perhaps as a screen against bright light on cold days. At the base of
the stalk a thin layer of cork forms, and sooner or later the wind breaks the leaf off.""",
    ),
    (
        "science",
        "How a lake freezes",
        """\
Water is densest at about four degrees above freezing. As a lake cools in autumn, the colder water at the
surface sinks, until the whole lake has reached that temperature. From then on, colder water is lighter
and stays on top, where it finally turns to ice. The ice floats, and it slows the loss of heat from the
water below. For this reason a deep lake seldom freezes to the bottom, and fish can spend the winter
there. If ice were heavier than water, lakes would fill with it from below.""",
    ),
    (
        "science",
        "The sound of a bell",
        """\
When a bell is struck, its metal wall swings in many patterns at the same time. Each pattern has its own
pitch, and founders shape the profile of the bell so that the most important pitches fit together. The
tone that we seem to hear most clearly is often not present at all: the ear adds it, guided by the spacing
of the others. High tones fade within a second or two, while the lowest one may hum for a minute. This is
why a bell sounds bright at first and dark at the end.""",
    ),
    (
        "science",
        "Counting birds",
        """\
Once a year, volunteers go out for one hour and count the birds that they see in a garden or park. For
every kind they write down the largest number seen at one time, so that a bird that keeps coming back is
not counted twice. A single list says little, for the weather, the hour and chance play a part. Thousands
of lists, made in the same way for many years, show which kinds become rarer and which spread. The method
is simple on purpose, because everyone must be able to follow it.""",
    ),
    (
        "sports",
        "A late goal in the rain",
        """\
For eighty minutes neither team had found a way through, and the rain had turned the middle of the field
into mud. Then the home side won a corner on the left. The first header hit the bar, the second was
blocked on the line, and at last the ball rolled to the substitute, who had been on the field for only
three minutes. She pushed it over the line with her knee. It was not pretty, she said afterwards, but it
was worth three points, and the coach did not disagree.""",
    ),
    (
        "sports",
        "Report from the rowing regatta",
        """\
Light wind and flat water made for fast times at the regatta on the reservoir. In the final of the double
sculls, two boats left the field behind after the first five hundred meters and stayed level almost to the
end. The lead changed four times. With ten strokes to go, the outside boat raised its rate once more and
won by the length of a hand. In the eights, the favorites were never in danger. The organizers counted
ninety crews, more than in any year since the event began.""",
    ),
    (
        "sports",
        "Rules of the village race",
        """\
The race starts at nine at the fire station and leads twice around the pond, ten kilometers in all.
Runners must wear their number on the chest where it can be seen. Dogs and headphones are not allowed on
the course, for there are two places where it crosses a road. Water is offered at the mill and at the
chapel. Anyone who gives up should tell a marshal, so that nobody is searched for in the woods. The first
three in every age class receive a jar of honey and a handshake from the mayor.""",
    ),
    (
        "code comment",
        "Cache of open files",
        """\
# Keeps at most LIMIT files open and closes the one that was used longest ago.
# Opening a file on the network drive takes about forty milliseconds, reading a
# record takes less than one, so nearly all the time is won by not reopening.
# The table maps a path to its handle in the order of last use. A handle that
# is being read must not be closed: the reader holds a reference to it, and
# the table skips it when it looks for one to drop. If every handle is in
# use, the table grows for a while rather than failing.""",
    ),
    (
        "code comment",
        "Rounding of prices",
        """\
# All amounts are whole cents. A price with tax is computed for each line of the
# bill and rounded there, half a cent going to the even side, and only then are
# the lines added. Rounding the sum instead gives totals that differ from the
# printed lines by a cent or two, which customers notice. The old program used
# floating point numbers here and was off by one cent in about three bills out
# of a thousand. Do not change the order of these two steps without telling
# the people who keep the books.""",
    ),
    (
        "code comment",
        "Reading the sensor",
        """\
// The sensor needs ten milliseconds after power is applied before its first
// value can be trusted. We wait fifteen, since some boards start slowly in
// the cold. Two bytes follow, the high one first. The upper four bits hold a
// counter that runs from zero to fifteen; if it has not moved since the last
// reading, the sensor has hung and must be switched off and on again. The
// other twelve bits are the temperature in sixteenths of a degree. Negative
// values are stored as two's complement, so the sign has to be extended.""",
    ),
    (
        "poem",
        "The mill in March",
        """\
The wheel has stood since late November,
a beard of ice on every blade,
and nobody could quite remember
the steady music that it made.
Then came a night of thaw and thunder,
the ditches filled, the gutters ran,
the frozen boards were lifted under,
and slowly, slowly it began.
At breakfast time the floor was humming,
the flour was dancing in the light,
and down the lane the carts were coming
that had not come since autumn's night.""",
    ),
    (
        "poem",
        "Things left on the train",
        """\
One glove, the left one, gray and thin,
a violin without a bow,
a birthday card with money in,
a map of somewhere under snow.
A jar of jam, a shopping list,
an umbrella with a wooden head,
a letter ending "you are missed",
a library book that nobody read.
They wait on shelves behind a door
with paper labels, date and line,
and someone calls, and asks once more:
I think that one of them is mine.""",
    ),
    (
        "manual",
        "Changing the filter of the vacuum cleaner",
        """\
Switch the machine off and pull the plug before you open it. Press the gray button on top and lift the lid
until it clicks. Take out the dust container and empty it. The filter sits behind it in a frame; turn the
frame to the left and draw it out. Tap the filter gently over a bin, then rinse it under cold water
without soap. Let it dry for at least one day, away from heaters. Never run the machine with a wet filter
or without one, since dust would get into the motor.""",
    ),
    (
        "manual",
        "Setting up the tent",
        """\
Choose level ground, clear it of stones and spread out the sheet with the shiny side down. Lay the inner
tent on it so that the door faces away from the wind. Join the long poles, push them through the colored
sleeves from corner to corner, and set their ends into the eyelets. The tent now stands by itself. Throw
the outer tent over it, fasten the clips at the four corners, and peg out the lines at a low angle. In
heavy rain, check that the two layers do not touch each other.""",
    ),
    (
        "manual",
        "First use of the kettle",
        """\
Remove all packing and wipe the outside with a damp cloth. Fill the kettle with fresh water up to the
upper mark, boil it once and pour the water away. Repeat this two times. From then on, never fill it
beyond the mark, because boiling water may splash from the spout. The kettle turns itself off when the
water boils or when it is lifted from its base. In places with hard water, remove scale every month with a
spoon of citric acid in half a liter of warm water, and rinse well.""",
    ),
    (
        "dialogue",
        "At the shoe repair shop",
        """\
"Can these still be saved?" she asked and put the boots on the counter.
"The soles can," he said, "but the left heel is worn down to the nails. Do you walk a lot?"
"Every day, to the harbor and back."
"Then I would take rubber instead of leather. It lasts longer on wet stone."
"How long will it take?"
"Come back on Thursday after three. I close at six."
"And what will it cost?"
He thought for a moment. "Thirty for both, and I will do the laces for nothing."\
""",
    ),
    (
        "dialogue",
        "Planning the trip",
        """\
"If we take the early train, we reach the lake by ten," said Noor.
"And if we sleep in?"
"Then we miss the boat and have to walk around, which takes three hours."
"I like walking."
"You said that last year, and then your shoe came apart."
"I have new shoes now," said Tom. "But all right, the early train. Who brings the sandwiches?"
"You do. I bring the coffee and the cards. And pack a raincoat, because the forecast changes every hour."
"Deal. Please call me at six, just in case."\
""",
    ),
    (
        "history",
        "A road through the marsh",
        """\
For centuries the marsh could be crossed only in dry summers, and travelers took the long way along the
hills. In the winter of a hard famine the towns on both sides agreed to build a causeway, partly to give
people work. Bundles of willow were sunk into the mud, then stones, then gravel, and every spring the road
had settled and had to be raised again. It took eleven years. The toll that was asked at the middle of it
paid for the upkeep, and the little house of the toll keeper is still standing.""",
    ),
    (
        "history",
        "How the clock came to the town hall",
        """\
Until the beginning of the last century the town lived by two times. The railway used the time of the
capital, and the church kept its own, about fourteen minutes later. Whoever wanted to catch a train had to
do a sum. After a crowded excursion had left without half of its passengers, the council bought a large
clock for the town hall and set it to railway time. The church held out for another six years. Old people
are said to have asked, well into the war, which of the two times was meant.""",
    ),
    (
        "finance",
        "A word about compound interest",
        """\
A thousand put aside at three percent brings thirty in the first year. If the thirty are left where they
are, the second year brings a little more, because they too now earn interest. The difference is small at
first and easy to overlook. After twenty-four years, however, the sum has doubled, while without interest
on interest it would have grown by about seventy percent only. The same arithmetic works against a person
in debt. This is why it pays to look at the yearly rate and not at the size of the monthly payment alone.""",
    ),
    (
        "finance",
        "Notes to the quarterly figures",
        """\
Revenue rose by four percent over the same quarter of last year, mainly because of higher sales of spare
parts. Personnel costs grew a little faster, since the new warehouse was staffed before it opened. Net of
this effect, the operating margin was unchanged. Inventories fell for the third quarter in a row and are
now back at the level of two years ago. The company spent less on equipment than planned, as two machines
will be delivered only in the autumn. For the year as a whole the board confirms its earlier forecast.""",
    ),
    (
        "finance",
        "Opening an account for a club",
        """\
To open an account in the name of a club, the bank needs the statutes, the minutes of the meeting at which
the board was elected, and the identity cards of two board members. Decide beforehand whether one person
may sign alone or whether two signatures are required; most clubs choose two for amounts above a few
hundred. There is no monthly fee as long as the balance stays positive. Statements are sent by post once a
quarter or can be read online. When the treasurer changes, please bring the new minutes within a month.""",
    ),
    (
        "travel",
        "A day on the island",
        """\
The morning boat takes forty minutes and is seldom full outside the school holidays. From the pier a sandy
path leads through pines to the lighthouse, where a narrow staircase with two hundred steps ends at a
windy balcony. On clear days you can see the mainland on both sides. The village in the middle of the
island has one shop, one inn and a bakery that sells out by eleven. Walk back along the northern beach,
where seals rest on the sandbanks at low tide, and keep your distance from them.""",
    ),
    (
        "travel",
        "Arriving by night train",
        """\
Shortly before six the attendant knocks and brings tea in a glass with a metal holder. Outside it is still
dark, but a pale line shows above the fields, and now and then a lit kitchen slides by. People fold their
blankets and stand in the corridor in socks. The train slows down at the first suburbs, passes a football
ground, a row of garages, a canal with houseboats, and stops with a long sigh. On the platform it smells
of coal and coffee. The city is quiet, and the trams are just leaving the depot.""",
    ),
    (
        "biology",
        "The life of a dragonfly",
        """\
A dragonfly spends most of its life under water. The larva hatches from an egg laid among plants, hides in
the mud and catches tadpoles and insects with a lower lip that shoots forward like an arm. It sheds its
skin about ten times over one to three years. One morning in early summer it climbs up a reed, the skin
splits along the back, and the winged insect pulls itself out. It needs a few hours until its wings are
dry and hard. As an adult it lives for only some weeks.""",
    ),
    (
        "medicine",
        "Advice after a sprained ankle",
        """\
In the first two days keep the foot up as often as you can and cool it for fifteen minutes several times a
day, with a cloth between the ice and the skin. An elastic bandage limits the swelling, but it must not be
so tight that the toes turn cold or numb. Begin to move the ankle gently as soon as the pain allows, and
put weight on it step by step. See a doctor if you cannot take four steps, if the bone hurts when pressed,
or if it is no better after a week.""",
    ),
    (
        "medicine",
        "How to store medicines",
        """\
Most medicines keep best in a dry, dark and cool place, so the bathroom and the kitchen are poor choices.
A drawer in the bedroom is better, out of the reach of children. Leave tablets in their package together
with the leaflet, and write the date on bottles when you open them. Eye drops usually have to be thrown
away after four weeks. A few products belong in the fridge, but never beside the freezer compartment. Go
through the drawer once a year and take everything that is out of date back to the pharmacy.""",
    ),
    (
        "law",
        "From a lease",
        """\
The apartment is let for living purposes only. The tenant may take in a lodger with the landlord's written
consent, which shall not be refused without an important reason. Small repairs up to eighty per case, and
not more than two hundred in one year, are borne by the tenant. Pets such as fish and hamsters need no
consent. Either party may end the lease in writing with three months' notice to the end of a month; for
the landlord the period grows to six months after five years. Changes to this contract must be made in
writing.""",
    ),
    (
        "law",
        "Notice of a public meeting",
        """\
Notice is hereby given that the planning committee will meet on Wednesday, the ninth, at seven in the
evening in the small hall. The draft plan for the former brewery will be presented, followed by questions
from the public. Written comments may be handed in at the town office until the end of the month and will
be answered individually. The plan provides for forty homes, a day nursery and a square with trees. Copies
can be seen during office hours, or sent by post on request. The meeting room can be reached without
steps.""",
    ),
    (
        "fable",
        "The heron and the frog",
        """\
A heron stood by the pond and complained that the frogs hid from her. An old frog put his head out of the
water and said, "You come in white, at noon, on long legs that everyone can see. What did you expect?" So
the heron came at dusk, stood still among the reeds and waited. She caught nothing that night either, but
she heard the whole concert from beginning to end. Since then, they say, she has gone to the pond on
summer evenings even when she was not hungry.""",
    ),
    (
        "story",
        "The key under the pot",
        """\
When Ines came home the key was not under the flower pot. She looked under the next one, and under the
mat, and then she sat down on the steps and ate the apple that she had saved for later. A cat came,
thought about it, and lay down in the sun beside her. After a while the window on the first floor opened.
"It is open," her grandfather called. "It has been open all day. I painted the door, and I did not want
anybody to knock." Only then did she see the green paint on the cat.""",
    ),
    (
        "story",
        "The last ferry",
        """\
The last ferry left at nine, and at ten past nine a man in a dark suit came running down the ramp with a
cello on his back. "That was it for today," said the woman in the ticket booth, who was counting coins. He
put down the cello and looked at the water. He had a wedding to play at on the other side. She thought it
over, closed the cash box, and took a key from the hook. "My brother has a rowing boat," she said. "But
you will have to play while he rows."\
""",
    ),
    (
        "review",
        "A review of a desk lamp",
        """\
I have used this lamp every evening for three months. The light is even and does not flicker, and the arm
stays where you put it, which cannot be said of my old one. The switch is on the cord, so you have to feel
for it in the dark. At the brightest setting the head gets warm but never hot. The instructions are a
single drawing without words, and the small screws are best tightened before the lamp is first moved. For
the price I would buy it again, though a longer cord would be welcome.""",
    ),
    (
        "review",
        "A review of a string quartet",
        """\
The four musicians began with an early work that is seldom heard, and they played it as lightly as it
deserves. In the slow movement the viola took the lead with a warm, quiet tone. After the break came the
great quartet in the minor key for which most listeners had come. The opening was almost too fast, yet the
players never lost each other, and in the last movement they took risks that paid off. The hall is dry and
hides nothing. There was long applause, and as an encore a short dance.""",
    ),
    (
        "speech",
        "Opening of the school garden",
        """\
Dear children, dear parents, dear colleagues, two years ago there was nothing here but gravel and three
parked cars. Today there are apple trees, a shed, and a pond in which, as I was told this morning, the
first newt has been seen. None of this was done by the school office. It was done on Saturdays, with
borrowed spades, and often in the rain. I will not read out all the names, because I should certainly
forget one. Please look around, taste the currants, and close the gate behind you so that the hens stay
in.""",
    ),
    (
        "speech",
        "A toast to a colleague who retires",
        """\
Friends, for thirty-one years Alex has opened this workshop in the morning and swept it in the evening,
and there cannot be many machines in it that Alex has not repaired at least twice. Whoever had a question
got an answer, usually a short one, and then a second look when nobody was watching. I learned from Alex
that a thing is finished when the tools are back on the wall. We shall miss the radio that was always a
little too loud. Please raise your glasses to a long, healthy and noisy retirement.""",
    ),
    (
        "advertisement",
        "A room to let",
        """\
Bright room in a shared house, four minutes from the tram. The room has eighteen square meters, a wooden
floor, a window to the garden and a built-in cupboard. Kitchen, bath and a small workshop are shared with
two others, a baker who gets up very early and a student of geology. We cook together on Sundays and
otherwise leave one another in peace. The rent includes heating, water and the internet. The room is free
from the first of March. Please write a few lines about yourself, and come for tea and have a look.""",
    ),
    (
        "advertisement",
        "Used bicycle for sale",
        """\
For sale: a green touring bicycle, frame size fifty-six, eight years old, always kept indoors. The tires
and the chain were replaced last spring, the brakes are good, and the lights run on a hub dynamo and stay
on for a while when you stop. There is a scratch on the top tube, which can be seen in the third photo,
and the bell is missing. A rack and two bags go with it. I am selling it only because I have moved to a
place at the top of a very steep hill.""",
    ),
    (
        "geography",
        "A river and its delta",
        """\
The river rises from a spring in the limestone hills, disappears into a cave after a few kilometers, and
comes to light again on the other side of the ridge. In its middle course it winds through a broad plain,
where it has changed its bed many times; the old loops can be seen from the air as curved lakes. Near the
sea it slows down, drops its sand, and splits into five arms. The delta grows by some ten meters every
year, and the harbor town that once lay on the coast is now well inland.""",
    ),
    (
        "geography",
        "A village above the tree line",
        """\
The highest village of the valley lies just above the last larches, on a terrace that faces south. Some
sixty people live there all year round. The houses stand close together, with thick walls of stone below
and dark wood above, and their small windows look down the slope. Rye used to be grown on narrow strips
that were watered by wooden channels from the glacier. Most of the fields are meadows today. The road was
built only in the nineteen-sixties; before that everything came up by mule, and the post twice a week.""",
    ),
    (
        "astronomy",
        "Finding the North Star",
        """\
Look for the seven bright stars that form a large pan with a bent handle. Take the two stars at the front
of the pan, draw a line from the lower to the upper one, and follow it five times as far. There you meet a
star of medium brightness that stands alone. It does not move noticeably during the night, because the
axis of the Earth points almost exactly at it, and all the others seem to turn around it. Its height above
the horizon tells you your latitude, which sailors used for centuries.""",
    ),
    (
        "mathematics",
        "Why the sum of odd numbers is a square",
        """\
Put down one pebble. Around two of its sides lay three more, in the shape of an angle, and you have a
square of two by two. Add an angle of five, and the square has three pebbles on each side; add seven, and
it has four. Every new angle needs two pebbles more than the last, since both of its arms have become
longer by one. So the first odd numbers always add up to a square, and the side of the square says how
many of them were taken. No formula is needed to see it.""",
    ),
    (
        "economics",
        "The price of a ticket",
        """\
A small cinema has one hundred seats and pays the same rent whether they are full or empty. At ten a
ticket, forty people come on an average evening; at eight, fifty-five do. The lower price brings in more,
although each visitor pays less. At six, the number rises to seventy, and the takings fall again. The
owner who wants to earn as much as possible will therefore look for a price somewhere near eight. Popcorn
changes the sum, for every visitor who comes in also buys something, and that speaks for a lower price.""",
    ),
    (
        "housekeeping",
        "Removing stains",
        """\
Act quickly, and dab the stain rather than rub it. Fresh red wine comes out with plenty of cold water, and
salt keeps it from spreading until you get home. Grease is best treated with a drop of dish soap before
the wash. For ink, put a white cloth underneath and work from the edge towards the middle, so that the
spot does not grow. Blood should never be washed hot. Test every remedy on a hidden seam first, and do not
put the piece into the dryer before the stain has gone, because heat sets what is left.""",
    ),
    (
        "gardening",
        "Work for October",
        """\
Plant tulips and daffodils before the soil grows cold, about three times as deep as the bulb is high. Dig
up dahlias after the first frost has blackened their leaves, shake off the earth, and store them in a dry
cellar. Leave the seed heads of sunflowers and asters standing, for finches will visit them all winter.
Fallen leaves may lie under hedges, but they should be raked from the lawn and taken out of the pond. It
is also a good time to move shrubs, provided that they are watered well afterwards.""",
    ),
    (
        "craft",
        "How to bind a small book",
        """\
Fold eight sheets in the middle, put them into one another and press the fold with a spoon. Mark five
points along it at equal distances and pierce them with an awl from the inside. Start with the needle at
the middle hole, go in and out to one end, come back to the other, and return to the middle, so that both
ends of the thread lie on either side of the long stitch. Tie them over it in a firm knot. Glue the outer
pages to a cover of cardboard, and leave the book under a weight until the next day.""",
    ),
    (
        "music",
        "Tuning a guitar by ear",
        """\
Begin with the thickest string and tune it to a note that you trust, from a fork or a piano. Press it down
at the fifth fret: this is the note that the next string should have when it is open. Turn the peg until
the slow beating between the two tones comes to rest. Go on in the same way from string to string, except
that between the third and the second you press at the fourth fret instead. New strings stretch, so go
through all six again, and do it once more after the first song.""",
    ),
    (
        "minutes",
        "Minutes of the allotment club",
        """\
The chair opened the meeting at half past seven and welcomed twenty-three members. The minutes of the
spring meeting were approved without changes. The treasurer reported a small surplus, which is to be used
for a new pump. Members discussed at length whether the gate should be locked at night; a vote was put off
until prices for a lock have been obtained. It was agreed that bonfires are allowed on the first Saturday
of a month only. The summer party will take place on the twelfth of July. The meeting ended at ten past
nine.""",
    ),
    (
        "email",
        "Change of the meeting time",
        """\
Hi all, the room that we had booked for Tuesday is being painted this week, so we need to move. I have
reserved the small room next to the canteen for Wednesday at two. It has no projector, but the screen on
the wall works with any laptop. Could those who planned to join by phone let me know if the new time suits
them? The agenda stays the same: the results of the survey, the budget for next year, and the question of
the printers. I will send the papers around by tomorrow noon. Best wishes, Jo""",
    ),
    (
        "diary",
        "A diary from the research station",
        """\
Day forty-one. The wind dropped during the night, and for the first time in a week we could open the main
door without a shovel. Everything outside was rounded and white, the sledges were gone, and only the tips
of the flags showed where the path had been. We spent the morning digging. After lunch the radio worked
again and brought the news of last Thursday. I launched the balloon at three as usual; it rose straight up
and was lost from sight after nine minutes. In the evening Mats baked bread, and we all stood around the
oven.""",
    ),
    (
        "encyclopedia",
        "Cork",
        """\
Cork is the outer bark of the cork oak, an evergreen tree of the western Mediterranean. It consists of
small closed cells filled with air, whose walls contain a waxy substance that lets neither water nor gas
pass. Cork is therefore light, elastic and a poor conductor of heat. A tree is first stripped when it is
about twenty-five years old, and then every nine to twelve years; it is not felled and can live for two
centuries. Besides stoppers, the material is used for floors, insulation, floats and the handles of tools.""",
    ),
    (
        "philosophy",
        "On the ship whose planks are replaced",
        """\
An old puzzle asks whether a ship stays the same ship when, over many years, each of its planks is
replaced by a new one. Most people say yes, since the change is slow and the ship never stops sailing.
Suppose, however, that somebody keeps the old planks and puts them together again in the same order. Now
there are two ships, and both have some claim to the name. Perhaps the lesson is that "the same" has more
than one meaning, and that we seldom have to say which of them we intend.""",
    ),
    (
        "education",
        "How to read a long book",
        """\
Do not begin with the first page. Look at the table of contents, read the preface and the last chapter,
and ask yourself what the author wants to show. Then read quickly from beginning to end without stopping
at what you do not understand; much of it will become clear later. Only after this go back to the chapters
that matter to you, and read them slowly, with a pencil. Write a few sentences of your own about each of
them. A book that does not deserve this may be closed with a good conscience.""",
    ),
)


def items() -> list[Item]:
    """Returns one item a passage: the heading is its context, so every token of the passage is scored."""
    made = []
    for number, (kind, heading, passage) in enumerate(PASSAGES, start=1):
        name = f"text-{number:02d}"
        choice = passage if kind in _LINES else " ".join(passage.split())
        made.append(Item(id=name, text=f"{heading}\n", template=name, choices=(choice,), fields={"kind": kind}))
    return made
