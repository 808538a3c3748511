#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make-data: writes the data set of the demonstration, the same bytes each time.

usage: tools/demo/make-data.py FILE

It is synthetic: one year of hourly counts of a bicycle counter that does not exist, with commuters, weekends, seasons
and rain, and with the faults that such files have: missing values in several spellings, a negative count, a stuck
sensor, rows sent twice, a second date format, and the hour that the change to summer time leaves out.
"""

import math
import random
import sys
from datetime import datetime, timedelta
from pathlib import Path

BEGIN = datetime(2025, 1, 1)
HOURS = 365 * 24
HEADER = "time,north,south,temperature_c,rain_mm"
WORKDAY = (3, 1, 1, 1, 3, 14, 46, 96, 120, 62, 38, 40, 48, 46, 44, 56, 88, 124, 96, 58, 36, 24, 16, 8)
WEEKEND = (10, 7, 4, 3, 2, 3, 6, 12, 24, 44, 64, 80, 88, 94, 98, 96, 86, 72, 54, 40, 30, 24, 20, 14)
SUMMER_TIME_GAP = datetime(2025, 3, 30, 2)
STUCK = range(5300, 5318)  # hours in which the sensor repeats one value
MISSING = ("", "n/a", "NA", "-")


def weather(rng: random.Random, when: datetime, rain: float) -> tuple[float, float]:
    """Temperature in degrees Celsius and rain in millimetres of one hour, given the rain of the hour before."""
    season = -math.cos(2 * math.pi * (when.timetuple().tm_yday - 20) / 365)
    day = -math.cos(2 * math.pi * (when.hour - 3) / 24)
    temperature = 10.5 + 8.5 * season + 3.5 * day + 4 * (rng.random() + rng.random() - 1)
    if rain > 0:
        rain = rain * 1.3 * rng.random() if rng.random() < 0.72 else 0.0
    elif rng.random() < 0.035:
        rain = 0.2 + 3 * rng.random()
    return round(temperature, 1), round(rain, 1)


def count(rng: random.Random, when: datetime, temperature: float, rain: float) -> tuple[int, int]:
    """Bicycles to the north and to the south in one hour."""
    weekend = when.weekday() >= 5
    level = float((WEEKEND if weekend else WORKDAY)[when.hour])
    level *= max(0.25, 0.55 + 0.03 * temperature) * (0.5 if rain > 1 else 0.75 if rain > 0 else 1.0)
    total = level * (0.8 + 0.4 * rng.random())
    to_north = 0.5 if weekend else 0.68 if when.hour < 12 else 0.36
    north = int(total * to_north + rng.random())
    return north, int(total - total * to_north + rng.random())


def rows() -> list[str]:
    rng = random.Random(20250101)
    lines = [HEADER]
    rain = 0.0
    for hour in range(HOURS):
        when = BEGIN + timedelta(hours=hour)
        temperature, rain = weather(rng, when, rain)
        values: list[object] = [*count(rng, when, temperature, rain), temperature, rain]
        fault = rng.random()
        if when == SUMMER_TIME_GAP:
            continue
        if hour in STUCK:
            values[0] = 9999
        elif fault < 0.004:
            values[rng.randrange(4)] = MISSING[rng.randrange(4)]
        elif fault < 0.0045:
            values[1] = -1
        time = when.strftime("%d.%m.%Y %H:%M" if 0.006 < fault < 0.010 else "%Y-%m-%dT%H:%M")
        line = ",".join(str(v) for v in (time, *values))
        lines += [line, line] if 0.0045 <= fault < 0.006 else [line]
    return lines


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    Path(sys.argv[1]).write_text("\n".join(rows()) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
