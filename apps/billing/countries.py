"""Countries as CDRs name them and as VAT does: ISO 3166-1 alpha-3 and alpha-2."""

EUROPEAN_UNION = frozenset("AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split())

PAIRS = (
    "ALB AL AND AD AUT AT BEL BE BGR BG BIH BA BLR BY CHE CH CYP CY CZE CZ DEU DE DNK DK ESP ES EST EE FIN FI FRA FR "
    "FRO FO GBR GB GEO GE GIB GI GRC GR HRV HR HUN HU IRL IE ISL IS ITA IT LIE LI LTU LT LUX LU LVA LV MCO MC MDA MD "
    "MKD MK MLT MT MNE ME NLD NL NOR NO POL PL PRT PT ROU RO SMR SM SRB RS SVK SK SVN SI SWE SE TUR TR UKR UA"
).split()
ALPHA_2 = dict(zip(PAIRS[::2], PAIRS[1::2], strict=True))
"""Of Europe. A country that is not here has no rate either, and its CDRs wait by its name."""


def alpha_2(country: str) -> str:
    """The alpha-2 code of an alpha-3 one; what is not known stays as it is, and is found in no table.

    >>> alpha_2("swe"), alpha_2("XYZ")
    ('SE', 'XYZ')
    """
    return ALPHA_2.get(country.upper(), country.upper())
