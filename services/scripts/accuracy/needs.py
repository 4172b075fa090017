"""Which data `make accuracy` needs. Standard library only: it is asked before anything is installed. Status 2 where data is missing."""

import pathlib
import sys

FOLDERS = ["adbench", "taxi_trips", "smd", "skab", "vitals_sim", "logs_hdfs", "logs_access", "nab", "series_uni", "series_multi"]
NEEDED = """It takes CSV files with a header; `label` is 1 for anomalies, rows with `ignore` = 1 are not judged:
  adbench/*.csv                      timestamp, f0, f1, ..., label (ADBench's classical sets, rows shuffled)
  taxi_trips/train_*.csv, test_*.csv New York yellow-taxi trips
  smd/machine-*_train.csv, _test.csv Server Machine Dataset
  skab/*.csv                         Skoltech Anomaly Benchmark, the first 400 rows normal
  vitals_sim/train.csv, test.csv     vital signs, one block of rows for each soldier_id
  logs_hdfs, logs_access             train.csv and test.csv
  nab/*/*.csv                        Numenta Anomaly Benchmark, with window_id and ignore (probation)
  series_uni/FAMILY__NAME.csv        single series of many kinds; ignore = 1 is the probation
  series_multi/FAMILY__NAME_train.csv, _test.csv"""


def met(folder):
    """Whether the folder has all of it; says what is missing."""
    missing = [name for name in FOLDERS if not (pathlib.Path(folder) / name).is_dir()]
    if folder and not missing:
        return True
    if folder:
        print(f"{folder} has no {', '.join(missing)}.", file=sys.stderr)
    print(f"make accuracy needs labelled data: make accuracy DATA=<folder>\n{NEEDED}", file=sys.stderr)
    return False


if __name__ == "__main__":
    sys.exit(0 if met(sys.argv[1] if len(sys.argv) > 1 else "") else 2)
