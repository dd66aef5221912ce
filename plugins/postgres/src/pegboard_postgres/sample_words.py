"""The words the sample shop is made of: people, places, suppliers, and things with a description."""

# ruff: noqa: SIM905 # names in one string are easier to read and to extend

from typing import NamedTuple


class City(NamedTuple):
    name: str
    country: str
    weight: int


class Supplier(NamedTuple):
    """A supplier; one without categories sells a bit of everything."""

    name: str
    country: str
    contact: str
    sells: tuple[str, ...] = ()


class Thing(NamedTuple):
    """A kind of product: its name, the price of a plain one, what it does, and what people use it for."""

    name: str
    price: float
    does: str
    use: str


class Line(NamedTuple):
    """A variant in which things are made, what the price is multiplied by, and what is said of it."""

    name: str
    factor: float
    says: str


FIRST_NAMES = (
    "Adam Aisha Alba Alice Amara Anders Andrea Anna Antoine Beatriz Ben Bruno Camille Carla Carlos Chiara Clara Daniel "
    "David Diego Elena Elif Elisa Emil Emma Erik Eva Femke Finn Freya Giulia Hana Hanna Hugo Ida Ines Isabel Jakub Jan "
    "Joana Jonas Julia Karin Lars Laura Lea Leon Lena Lucas Lucia Luca Magda Maja Marco Maria Marta Mateo Max Mia "
    "Mikkel Nadia Nils Noah Nora Olga Oliver Olivia Oskar Paul Paula Pedro Petra Pia Rafael Rosa Samir Sara Sofia Sven "
    "Teresa Thomas Tomas Vera Victor Yara Yusuf Zoe"
).split()

LAST_NAMES = (
    "Almeida Andersen Bakker Bauer Becker Bergman Bianchi Blanc Bonnet Brown Carvalho Castro Clark Costa Dahl Dubois "
    "Duarte Eriksen Esposito Evans Fabre Ferrari Fischer Fontaine Garcia Girard Gomes Graf Gruber Hansen Haas Hofer "
    "Horvat Hughes Iversen Jansen Johansson Kaya Keller Kovacs Kowalski Krause Lambert Larsen Lefebvre Lindqvist Lopes "
    "Lorenz Marchetti Martins Meyer Moreau Moreno Murphy Navarro Neumann Nielsen Novak Olsen Ortega Pereira Petersen "
    "Pinto Popescu Ramos Ricci Romano Roux Ruiz Santos Schmidt Schneider Serra Silva Smit Sousa Svensson Taylor Torres "
    "Urban Vidal Virtanen Visser Vogel Wagner Walsh Weber Wolf Yilmaz Zimmermann"
).split()

CITIES = (
    City("Berlin", "Germany", 11), City("Hamburg", "Germany", 7), City("Munich", "Germany", 8),
    City("Vienna", "Austria", 7), City("Zurich", "Switzerland", 5), City("Paris", "France", 11),
    City("Lyon", "France", 5), City("Madrid", "Spain", 8), City("Valencia", "Spain", 4),
    City("Lisbon", "Portugal", 7), City("Porto", "Portugal", 4), City("Milan", "Italy", 7), City("Turin", "Italy", 4),
    City("Amsterdam", "Netherlands", 7), City("Utrecht", "Netherlands", 3), City("Copenhagen", "Denmark", 6),
    City("Stockholm", "Sweden", 6), City("Oslo", "Norway", 4), City("Helsinki", "Finland", 4),
    City("Warsaw", "Poland", 7), City("Prague", "Czechia", 5), City("Dublin", "Ireland", 5),
)  # fmt: skip

SUPPLIERS = (
    Supplier("Alder & Sons", "Germany", "orders@alder.example", ("Home", "Garden")),
    Supplier("Baltic Woodworks", "Poland", "sales@balticwood.example", ("Home", "Toys")),
    Supplier("Casa Ribeiro", "Portugal", "comercial@ribeiro.example", ("Kitchen", "Home")),
    Supplier("Delft Ceramics", "Netherlands", "hello@delftceramics.example", ("Kitchen", "Garden")),
    Supplier("Elbe Instruments", "Germany", "trade@elbe.example", ("Audio", "Cameras")),
    Supplier("Fjord Outdoor", "Norway", "post@fjordoutdoor.example", ("Outdoor",)),
    Supplier("Galerie Textile", "France", "contact@galerietextile.example", ("Home", "Outdoor")),
    Supplier("Helvetia Optics", "Switzerland", "info@helvetiaoptics.example", ("Cameras",)),
    Supplier("Iberia Sport", "Spain", "ventas@iberiasport.example", ("Outdoor", "Toys")),
    Supplier("Juno Paper Mill", "Sweden", "mill@juno.example", ("Stationery",)),
    Supplier("Kranich Audio", "Austria", "vertrieb@kranich.example", ("Audio",)),
    Supplier("Lumen Works", "Denmark", "sales@lumen.example", ("Home", "Outdoor", "Cameras")),
    Supplier("Molino Kitchen", "Italy", "ordini@molino.example", ("Kitchen",)),
    Supplier("Nordwind Trading", "Germany", "dispatch@nordwind.example"),
    Supplier("Orchard Tools", "Ireland", "orders@orchardtools.example", ("Garden",)),
    Supplier("Praha Toys", "Czechia", "obchod@prahatoys.example", ("Toys", "Stationery")),
)

CATEGORIES = {
    "Audio": (
        Thing("Bookshelf Speakers", 189, "fill a living room with warm and detailed sound", "listening to records"),
        Thing("Headphones", 99, "close off the noise of an office and stay light on the ears", "long working days"),
        Thing("Earbuds", 59, "sit firmly and last six hours on one charge", "running"),
        Thing("Radio", 79, "receives FM and DAB+ and wakes you gently", "the kitchen"),
        Thing("Turntable", 229, "plays records through a belt drive and a built-in preamplifier", "vinyl collections"),
        Thing("Microphone", 119, "picks up a voice clearly and leaves the room out", "podcasts and calls"),
        Thing("Party Speaker", 139, "is loud, splash-proof and carried by a strap", "an evening at the lake"),
        Thing("Soundbar", 169, "makes film dialogue easy to follow", "television evenings"),
    ),
    "Cameras": (
        Thing("Compact Camera", 349, "fits a coat pocket and zooms four times", "city trips"),
        Thing("Film Camera", 129, "takes 35 mm film and forces you to look twice", "slow photography"),
        Thing("Instant Camera", 89, "prints a picture while everybody is still there", "birthday parties"),
        Thing("Tripod", 69, "stands still on uneven ground and folds to 40 cm", "night shots"),
        Thing("Camera Bag", 59, "keeps a body and two lenses dry", "hikes with equipment"),
        Thing("Prime Lens", 279, "draws soft backgrounds at f/1.8", "portraits"),
        Thing("Action Camera", 199, "films under water and on a helmet", "mountain biking"),
        Thing("Photo Printer", 149, "prints postcards without a computer", "family albums"),
    ),
    "Garden": (
        Thing("Watering Can", 29, "pours a soft rain from a long neck", "balcony plants"),
        Thing("Hand Trowel", 14, "cuts through heavy soil with a forged blade", "planting bulbs"),
        Thing("Pruning Shears", 34, "make clean cuts through finger-thick branches", "roses and fruit trees"),
        Thing("Planter", 45, "drains well and survives frost", "herbs and small trees"),
        Thing("Garden Hose", 39, "rolls up flat and does not kink", "watering the lawn"),
        Thing("Bird House", 25, "has the entrance great tits prefer", "watching birds from the window"),
        Thing("Compost Bin", 79, "turns kitchen waste into soil in a few months", "small gardens"),
        Thing("Folding Rake", 24, "adjusts its width to beds and lawns", "autumn leaves"),
    ),
    "Home": (
        Thing("Desk Lamp", 65, "lights a desk evenly and dims without flicker", "reading late"),
        Thing("Wool Blanket", 89, "keeps two people warm on one sofa", "winter evenings"),
        Thing("Linen Cushion", 35, "gets softer with each wash", "reading corners"),
        Thing("Wall Clock", 49, "runs silently", "bedrooms and studies"),
        Thing("Candle Set", 27, "burns for thirty hours and smells of beeswax only", "long dinners"),
        Thing("Storage Basket", 32, "holds toys, laundry or firewood", "tidying up quickly"),
        Thing("Side Table", 119, "carries a lamp, a book and a cup", "small flats"),
        Thing("Floor Mirror", 159, "makes a narrow hall look wide", "hallways"),
    ),
    "Kitchen": (
        Thing("Chef's Knife", 79, "holds its edge for months", "vegetables, fish and meat"),
        Thing("Cast Iron Pan", 59, "browns evenly and lasts a lifetime", "steaks and flat breads"),
        Thing("Espresso Maker", 49, "makes four small strong cups on any stove", "the first coffee of the day"),
        Thing("Mixing Bowl", 22, "does not slide and has a lip for pouring", "dough and salads"),
        Thing("Cutting Board", 39, "is kind to knives and has a groove for juice", "daily cooking"),
        Thing("Teapot", 42, "pours without dripping", "afternoons with guests"),
        Thing("Hand Blender", 69, "purees soup in the pot", "soups and baby food"),
        Thing("Kitchen Scale", 29, "weighs to the gram and tares with one tap", "baking bread"),
    ),
    "Outdoor": (
        Thing("Tent", 249, "is up in five minutes and sheds heavy rain", "trekking with two"),
        Thing("Sleeping Bag", 129, "keeps you warm down to minus five degrees", "cold nights outside"),
        Thing("Backpack", 99, "carries 30 litres close to the back", "day hikes"),
        Thing("Water Bottle", 24, "keeps drinks cold for a day", "commuting and hiking"),
        Thing("Head Torch", 39, "shines 200 metres and recharges by USB", "walking home in winter"),
        Thing("Camping Stove", 55, "boils a litre in three minutes even in wind", "meals on the trail"),
        Thing("Rain Jacket", 139, "keeps rain out and lets sweat through", "changeable weather"),
        Thing("Trekking Poles", 69, "spare the knees on the way down", "long descents"),
    ),
    "Stationery": (
        Thing("Notebook", 16, "opens flat and does not bleed ink", "ideas and minutes"),
        Thing("Fountain Pen", 45, "writes smoothly from the first stroke", "letters and signatures"),
        Thing("Pencil Set", 19, "covers eight grades from soft to hard", "sketching"),
        Thing("Planner", 24, "shows a week on two pages", "families and small teams"),
        Thing("Desk Organizer", 34, "gives each cable and card its place", "tidy desks"),
        Thing("Letter Set", 21, "has heavy cotton paper and lined envelopes", "letters that are kept"),
        Thing("Watercolor Box", 38, "mixes clean colours from twelve pans", "painting on the road"),
        Thing("Wall Calendar", 18, "leaves room for five people's dates", "shared kitchens"),
    ),
    "Toys": (
        Thing("Building Blocks", 39, "are cut from beech and fit each other exactly", "towers that nearly hold"),
        Thing("Board Game", 35, "is explained in five minutes and takes an hour", "rainy Sundays"),
        Thing("Puzzle", 22, "has a thousand pieces and a map as its picture", "winter holidays"),
        Thing("Train Set", 69, "runs on wooden rails over a bridge", "children from three years"),
        Thing("Kite", 29, "flies in light wind and forgives beginners", "the beach"),
        Thing("Marble Run", 49, "makes gravity visible", "patient builders"),
        Thing("Plush Bear", 27, "can be washed at sixty degrees", "falling asleep"),
        Thing("Science Kit", 45, "has thirty experiments with things from the kitchen", "curious children"),
    ),
}

LINES = (
    Line("Basic", 0.75, "A plain version without extras, for everyday use."),
    Line("Classic", 1.0, "The one most customers choose; made the same way for twenty years."),
    Line("Travel", 1.15, "Smaller and lighter than the others, with a pouch to carry it."),
    Line("Atelier", 1.6, "Finished by hand in small series, with a repair service."),
    Line("Green", 1.3, "Made from recycled material and packed without plastic."),
)

MATERIALS = {
    "Audio": ("a walnut case", "matt aluminium", "woven fabric"),
    "Cameras": ("a magnesium body", "waxed canvas", "anodized aluminium"),
    "Garden": ("galvanized steel", "larch wood", "recycled rubber"),
    "Home": ("oiled oak", "undyed wool", "hand-blown glass"),
    "Kitchen": ("forged steel", "glazed stoneware", "olive wood"),
    "Outdoor": ("ripstop nylon", "titanium", "recycled polyester"),
    "Stationery": ("cotton paper", "brass", "cedar wood"),
    "Toys": ("beech wood", "organic cotton", "solid cardboard"),
}

OPINIONS = {
    1: ("Broke after two weeks.", "Arrived damaged and the replacement was no better.", "Not what the picture shows."),
    2: ("Feels cheaper than the price suggests.", "Works, but only just.", "I expected more for {use}."),
    3: ("Does what it should, nothing more.", "Good for {use}, less so for anything else.", "Fine for the price."),
    4: ("Very good for {use}.", "Solid, one star less for the packaging.", "Better than the one I had before."),
    5: (
        "Perfect for {use}.",
        "I bought a second one as a present.",
        "Beautiful, and it {does}.",
        "Would buy it again.",
    ),
}

DETAILS = (
    "Delivery was quick.", "It came a few days later than promised.", "The colour is a little darker than expected.",
    "My neighbour asked where I got it.", "The instructions could be clearer.", "We use it every day.",
    "Support answered within a day.", "I have had it for three months now.", "",
)  # fmt: skip

TICKETS = {
    "late": ("Where is my order?", "Order {order} was promised for {promised} and has not arrived. When will it come?"),
    "damaged": ("Damaged on arrival", "The {product} from order {order} arrived damaged. Please send another one."),
    "invoice": ("Invoice needed", "Please send me the invoice for order {order} with my company's name on it."),
    "question": ("Question about the {product}", "Is there a spare part for the {product}? I could not find one."),
}
