"""Where the simulated CPO has its charge points: made up sites on real streets."""

from typing import NamedTuple


class Site(NamedTuple):
    country: str
    city: str
    postal_code: str
    address: str
    name: str
    latitude: str
    longitude: str
    parking_type: str


def _sites(country: str, text: str) -> tuple[Site, ...]:
    rows = (line.split("|") for line in text.strip().splitlines())
    return tuple(Site(country, *(cell.strip() for cell in row)) for row in rows)


SWEDEN = _sites(
    "SE",
    """
Stockholm|113 22|Odengatan 62|Odenplan|59.342905|18.049532|ON_STREET
Stockholm|118 46|Hornsgatan 98|Mariatorget|59.317240|18.054210|UNDERGROUND_GARAGE
Stockholm|121 77|Arenavägen 45|Globen|59.293410|18.083320|PARKING_GARAGE
Stockholm|164 40|Kistagången 16|Kista|59.403060|17.944170|PARKING_GARAGE
Solna|169 79|Stjärntorget 2|Solna centrum park|59.371020|17.999610|PARKING_GARAGE
Södertälje|151 65|Morabergsvägen 27|Moraberg|59.194830|17.656220|PARKING_LOT
Norrtälje|761 60|Baldersgatan 35|Knutby torg|59.754610|18.690450|PARKING_LOT
Uppsala|753 20|Kungsgatan 95|Uppsala resecentrum|59.857940|17.646120|PARKING_GARAGE
Uppsala|754 54|Marknadsgatan 1|Gränbystaden|59.877730|17.674580|PARKING_LOT
Västerås|721 30|Hallsta gårdsgata 2|Hälla|59.608820|16.610740|PARKING_LOT
Enköping|745 37|Stockholmsvägen 37|Enköping östra|59.633560|17.104410|ALONG_MOTORWAY
Eskilstuna|633 46|Kungsgatan 61|Fristadstorget|59.371260|16.511830|ON_STREET
Örebro|702 27|Stortorget 18|Stortorget|59.271490|15.214620|PARKING_GARAGE
Karlstad|652 24|Bergviks köpväg 7|Bergvik|59.380680|13.432510|PARKING_LOT
Arvika|671 31|Styckåsgatan 4|Arvika station|59.654770|12.589080|PARKING_LOT
Gävle|803 20|Kungsbäcksvägen 32|Kungsbäck|60.671930|17.118240|PARKING_LOT
Falun|791 71|Svärdsjögatan 18|Falun park|60.608210|15.639470|PARKING_LOT
Mora|792 32|Vasagatan 40|Mora strand|61.004650|14.543080|PARKING_LOT
Sundsvall|857 53|Klökanvägen 4|Birsta|62.444730|17.352610|PARKING_LOT
Östersund|831 34|Hagvägen 15|Lillänge|63.165930|14.672060|PARKING_LOT
Umeå|907 40|Marknadsgatan 10|Ersboda|63.859180|20.314570|PARKING_LOT
Skellefteå|931 31|Kanalgatan 45|Skellefteå kanal|64.750140|20.951030|ON_STREET
Luleå|973 45|Storheden 5|Storheden|65.619080|22.056420|PARKING_LOT
Kiruna|981 38|Malmvägen 9|Kiruna nya torget|67.849120|20.302780|ON_STREET
Linköping|582 78|Norra Oskarsgatan 33|Tornby|58.427940|15.607130|PARKING_LOT
Norrköping|603 61|Koppargatan 30|Ingelsta|58.612830|16.164490|PARKING_LOT
Nyköping|611 39|Gumsbackevägen 6|Påljungshage|58.769040|16.972180|ALONG_MOTORWAY
Jönköping|556 52|Kompanigatan 50|A6|57.771940|14.202530|PARKING_LOT
Värnamo|331 53|Bredastensvägen 15|Bredasten|57.158310|14.066920|ALONG_MOTORWAY
Växjö|352 46|Hejaregatan 32|Grand Samarkand|56.883610|14.774910|PARKING_LOT
Kalmar|392 39|Bilistvägen 6|Hansa city|56.684690|16.321750|PARKING_LOT
Göteborg|411 08|Nils Ericsonsgatan 17|Nordstan|57.709940|11.970330|PARKING_GARAGE
Göteborg|412 50|Södra vägen 50|Korsvägen|57.697310|11.986640|ON_STREET
Mölndal|431 53|Göteborgsvägen 97|Mölndal port|57.656420|12.014870|PARKING_GARAGE
Borås|504 57|Ålgårdsvägen 21|Knalleland|57.734750|12.937720|PARKING_LOT
Halmstad|302 30|Prästvägen 1|Hallarna|56.687330|12.905140|PARKING_LOT
Helsingborg|254 67|Marknadsvägen 9|Väla|56.095210|12.757340|PARKING_LOT
Lund|227 64|Avtalsvägen 2|Nova|55.714260|13.159820|PARKING_LOT
Malmö|215 32|Hyllie stationstorg 21|Hyllie|55.562880|12.976210|PARKING_GARAGE
Trelleborg|231 45|Hamngatan 9|Trelleborg hamn|55.372630|13.156480|PARKING_LOT
""",
)

GERMANY = _sites(
    "DE",
    """
Berlin|10178|Grunerstraße 20|Alexanderplatz|52.519330|13.415220|UNDERGROUND_GARAGE
Berlin|10785|Linkstraße 2|Potsdamer Platz|52.507830|13.374460|UNDERGROUND_GARAGE
Berlin|12529|Mittelstraße 8|Schönefeld Süd|52.387510|13.517320|PARKING_LOT
Potsdam|14473|Babelsberger Straße 16|Potsdam Bahnhof|52.392240|13.067810|PARKING_GARAGE
Hamburg|20097|Nordkanalstraße 52|Hammerbrook|53.548160|10.024710|PARKING_GARAGE
Hamburg|20459|Alter Steinweg 15|Großneumarkt|53.550240|9.980650|ON_STREET
Lübeck|23552|Willy-Brandt-Allee 11|Lübeck Altstadt|53.867380|10.678930|PARKING_LOT
Rostock|18055|Lange Straße 40|Rostock Hafen|54.091870|12.132610|PARKING_GARAGE
Hannover|30159|Osterstraße 42|Kröpcke|52.372090|9.740760|PARKING_GARAGE
Wolfsburg|38440|Heinrich-Nordhoff-Straße 28|Wolfsburg Nord|52.429460|10.786340|PARKING_LOT
Leipzig|04109|Große Fleischergasse 4|Leipzig Zentrum|51.341870|12.372540|UNDERGROUND_GARAGE
Dresden|01069|Prager Straße 8|Dresden Mitte|51.044790|13.736820|PARKING_GARAGE
Magdeburg|39104|Otto-von-Guericke-Straße 12|Magdeburg Dom|52.127320|11.632450|PARKING_LOT
Köln|50667|Cäcilienstraße 30|Neumarkt|50.935830|6.952110|PARKING_GARAGE
Düsseldorf|40212|Königsallee 58|Königsallee|51.222760|6.778940|UNDERGROUND_GARAGE
Dortmund|44137|Hansastraße 48|Dortmund West|51.513670|7.461290|PARKING_GARAGE
Frankfurt am Main|60311|Töngesgasse 8|Konstablerwache|50.113250|8.683970|PARKING_GARAGE
Stuttgart|70173|Königstraße 6|Stuttgart Mitte|48.782140|9.181360|PARKING_GARAGE
Nürnberg|90402|Hallplatz 2|Hallplatz|49.450310|11.077080|ON_STREET
München|80331|Oberanger 35|Sendlinger Tor|48.134260|11.568740|UNDERGROUND_GARAGE
""",
)
