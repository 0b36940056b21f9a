"""The goods, places and parties of the story, under GS1's example prefix 952, and their identifiers.

Firms are plain trade names; no number belongs to anyone.
"""

from dataclasses import dataclass
from typing import Final

from node.epcis.checkdigits import check_digit

DIGITAL_LINK: Final = "https://id.gs1.org"


@dataclass(frozen=True, slots=True)
class Product:
    """A trade item. prefix: its maker's seven-digit company prefix. uom: UN/ECE code, or None for pieces."""

    prefix: str
    number: int
    name: str
    uom: str | None

    @property
    def id(self) -> str:
        """The Digital Link of the product without a lot."""
        digits = f"0{self.prefix}{self.number:05d}"
        return f"{DIGITAL_LINK}/01/{digits}{check_digit(digits)}"

    def lot(self, code: str) -> str:
        """Return the Digital Link of a lot."""
        return f"{self.id}/10/{code}"


@dataclass(frozen=True, slots=True)
class Site:
    """A place of a party. room: a part of the site, or None for the site itself; stock is kept by site."""

    prefix: str
    number: int
    name: str
    room: str | None = None

    @property
    def id(self) -> str:
        """The Digital Link of the location."""
        digits = f"{self.prefix}{self.number:05d}"
        site = f"{DIGITAL_LINK}/414/{digits}{check_digit(digits)}"
        return site if self.room is None else f"{site}/254/{self.room}"


@dataclass(frozen=True, slots=True)
class Party:
    """A firm. member: its short name in the network, None for one outside it."""

    prefix: str
    name: str
    member: str | None = None

    @property
    def id(self) -> str:
        """The Digital Link of the party."""
        digits = f"{self.prefix}00000"
        return f"{DIGITAL_LINK}/417/{digits}{check_digit(digits)}"


MILL: Final = Party("9521101", "Mill", "mill")
BAKERY: Final = Party("9521102", "Bakery", "bakery")
DISTRIBUTOR: Final = Party("9521103", "Distributor", "distributor")
SHOPS: Final = Party("9521104", "Shops", "shops")
FIRMS: Final = (MILL, BAKERY, DISTRIBUTOR, SHOPS)
NORTH_FARM: Final = Party("9521201", "North farm")
SOUTH_FARM: Final = Party("9521202", "South farm")
EAST_FARM: Final = Party("9521203", "East farm")
FEED_WORKS: Final = Party("9521204", "Feed works")
INGREDIENTS: Final = Party("9521205", "Baking ingredients trade")
WATERWORKS: Final = Party("9521206", "Waterworks")
PARTIES: Final = (*FIRMS, NORTH_FARM, SOUTH_FARM, EAST_FARM, FEED_WORKS, INGREDIENTS, WATERWORKS)

SILO: Final = Site(MILL.prefix, 1, "Mill: grain silo", "silo")
MILLING: Final = Site(MILL.prefix, 1, "Mill: roller mill", "rolls")
FLOUR_STORE: Final = Site(MILL.prefix, 1, "Mill: flour store", "store")
BAKERY_DOCK: Final = Site(BAKERY.prefix, 1, "Bakery: goods in", "in")
WATER_TANK: Final = Site(BAKERY.prefix, 1, "Bakery: water tank", "tank")
BAKEHOUSE: Final = Site(BAKERY.prefix, 1, "Bakery: bakehouse", "bakehouse")
BAKERY_OUT: Final = Site(BAKERY.prefix, 1, "Bakery: dispatch", "out")
WAREHOUSE: Final = Site(DISTRIBUTOR.prefix, 1, "Distributor: warehouse")
HARBOUR: Final = Site(SHOPS.prefix, 1, "Shop at the harbour")
STATION: Final = Site(SHOPS.prefix, 2, "Shop at the station")
MARKET: Final = Site(SHOPS.prefix, 3, "Shop on the market square")
SHOP_SITES: Final = (HARBOUR, STATION, MARKET)
SITES: Final = (SILO, MILLING, FLOUR_STORE, BAKERY_DOCK, WATER_TANK, BAKEHOUSE, BAKERY_OUT, WAREHOUSE, *SHOP_SITES)

WHEAT: Final = Product(MILL.prefix, 1, "Wheat", "KGM")
FLOUR: Final = Product(MILL.prefix, 2, "Wheat flour type 550", "KGM")
BRAN: Final = Product(MILL.prefix, 3, "Wheat bran", "KGM")
YEAST: Final = Product(BAKERY.prefix, 1, "Baker's yeast", "KGM")
SALT: Final = Product(BAKERY.prefix, 2, "Salt", "KGM")
DOUGH: Final = Product(BAKERY.prefix, 3, "Wheat dough", "KGM")
LOAF: Final = Product(BAKERY.prefix, 4, "Country loaf 750 g", None)
CRUMB: Final = Product(BAKERY.prefix, 5, "Bread crumb for rework", "KGM")
WATER: Final = Product(BAKERY.prefix, 6, "Drinking water", "KGM")
PRODUCTS: Final = (WHEAT, FLOUR, BRAN, YEAST, SALT, DOUGH, LOAF, CRUMB, WATER)


def sscc(prefix: str, serial: int) -> str:
    """Return the Digital Link of a logistic unit."""
    digits = f"0{prefix}{serial:09d}"
    return f"{DIGITAL_LINK}/00/{digits}{check_digit(digits)}"


def party_of(site: Site) -> Party:
    """Return whose place it is."""
    return next(party for party in PARTIES if party.prefix == site.prefix)
