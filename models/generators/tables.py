"""Tables that are drawn: each function returns a header and rows, or the arrays of pairs."""

import numpy as np

WEEKDAYS = {"Mon": 0.85, "Tue": 0.8, "Wed": 0.85, "Thu": 0.95, "Fri": 1.15, "Sat": 1.4, "Sun": 1.0}
"""How many visitors come on each day of the week, compared with the average."""


def forecast(days=1250, lags=7):
    """Draw visitors by day, with a trend, a week, and rain, in which they are harder to predict.

    A row has the visitors of a day and of the `lags` days before.
    """
    rng = np.random.default_rng(1)
    day = np.arange(days + lags)
    drift = np.zeros(len(day))
    for d in day[1:]:
        drift[d] = 0.8 * drift[d - 1] + 0.02 * rng.normal()
    rain = np.rint(rng.exponential(8, len(day)) * (rng.random(len(day)) < 0.4)).astype(int)
    week = np.array(list(WEEKDAYS.values()))[day % 7]
    mean = (200 + 0.05 * day) * week * np.exp(drift - np.minimum(rain, 15) / 30)
    spread = np.where(rain > 0, 0.12, 0.05)
    visitors = np.rint(mean * (1 + spread * rng.normal(size=len(day)))).astype(int)
    before = [f"before_{lag}" for lag in range(lags, 0, -1)]
    names = list(WEEKDAYS)
    return ["day", "years", "weekday", "rain", *before, "visitors"], [
        [d, f"{d / 365:.2f}", names[d % 7], rain[d], *visitors[d - lags : d + 1]]
        for d in day[lags:]
    ]


def fraud(rows=12000):
    """Draw payments, of which 2 % are fraud: far away at night, or large and soon after another."""
    rng = np.random.default_rng(2)
    number = np.arange(rows)
    is_fraud = number < rows // 50
    at_night = is_fraud & (number % 2 == 0)
    large = is_fraud & ~at_night
    amount = np.exp(rng.normal(3.3, 0.9, rows) + 2 * large - 0.6 * at_night)
    hour = np.where(at_night, rng.normal(3, 2, rows), rng.normal(14, 4.5, rows)) % 24
    distance = np.exp(rng.normal(1.5, 1, rows) + 2 * at_night)
    since = np.exp(rng.normal(2.5, 1, rows) - 2.2 * large)
    abroad = rng.random(rows) < np.where(is_fraud, 0.5, 0.1)
    return ["amount", "hour", "distance", "hours_since", "country", "kind"], [
        [f"{amount[k]:.0f}", int(hour[k]), f"{distance[k]:.0f}", f"{since[k]:.0f}",
         "abroad" if abroad[k] else "home", "fraud" if is_fraud[k] else "fine"]
        for k in rng.permutation(rows)
    ]  # fmt: skip


def two_outputs(rows=900):
    """Draw flats with their price and their heating, which both depend on their age."""
    rng = np.random.default_rng(3)
    area = rng.gamma(9, 9, rows)
    rooms = np.clip(np.rint(area / 25 + rng.normal(0, 0.7, rows)), 1, 7).astype(int)
    floor, year = rng.integers(0, 9, rows), rng.integers(1890, 2021, rows)
    district = rng.choice(["north", "south", "west", "center"], rows)
    factor = np.select([district == "south", district == "west", district == "center"],
                       [0.85, 1.1, 1.5], 1)  # fmt: skip
    age = (2020 - year) / 130
    per_meter = (2.5 + 6 * (age - 0.5) ** 2) * factor * (1 + 0.03 * floor)
    price = area * per_meter * np.exp(rng.normal(0, 0.08, rows))
    scores = np.stack([3 * age - 1.8, 0.6 - 4 * np.abs(age - 0.45), 0.4 - 3 * age + 0.15 * floor])
    heating = np.array(["oil", "gas", "heat pump"])[
        np.argmax(scores + rng.gumbel(0, 0.15, scores.shape), axis=0)
    ]
    columns = (np.rint(area).astype(int), rooms, floor, year, district, np.rint(price).astype(int))
    header = ["area", "rooms", "floor", "year", "district", "price", "heating"]
    return header, list(zip(*columns, heating, strict=True))


def siamese(image, digit):
    """Pair images of digits, no image twice: about half of the pairs are of the same digit."""
    rng = np.random.default_rng(4)
    by_digit = [rng.permutation(np.flatnonzero(digit == k)) for k in range(10)]
    same = np.concatenate([rows[: len(rows) // 4 * 2].reshape(-1, 2) for rows in by_digit])
    rest = np.concatenate([rows[len(rows) // 4 * 2 :] for rows in by_digit])
    pairs = rng.permutation(rest)[: len(rest) // 2 * 2].reshape(-1, 2)
    pairs = rng.permutation(np.concatenate([same, pairs[digit[pairs[:, 0]] != digit[pairs[:, 1]]]]))
    left, right = pairs.T
    kind = np.where(digit[left] == digit[right], "same", "different")
    return {"left": image[left], "right": image[right], "pair": kind}


def recommender(rows=4000, users=120, films=80):
    """Draw ratings in half stars, by the tastes of users and the genres of films."""
    rng = np.random.default_rng(5)
    taste, genre = rng.normal(size=(users, 3)), rng.normal(size=(films, 3))
    kindness, quality = 0.4 * rng.normal(size=users), 0.5 * rng.normal(size=films)
    user, film = np.divmod(rng.choice(users * films, rows, replace=False), films)
    match = 0.45 * np.sum(taste[user] * genre[film], axis=1) + 0.3 * rng.normal(size=rows)
    stars = np.clip(np.rint(2 * (3.3 + kindness[user] + quality[film] + match)) / 2, 0.5, 5)
    return ["user", "film", "stars"], [
        [u, f, f"{s:g}"] for u, f, s in zip(user, film, stars, strict=True)
    ]
