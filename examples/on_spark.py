"""Extract a folder of photos on Spark, or on the processors of this machine; see featurize/README.md.

    pip install 'pyspark>=3.5'    # which needs Java 17 or newer from Spark 4.0 on, 8 or newer before
    python examples/on_spark.py PHOTOS STORE TABLE.parquet [--features inception_v3 glcm]

All executors reach PHOTOS and STORE under the same name, and have bottlehead installed. Rows travel as bytes.
"""

import argparse
import os
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from pyspark.sql import SparkSession

from featurize import assemble_parts, extract_part, source_parts


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("photos")
    parser.add_argument("store")
    parser.add_argument("table", type=Path)
    parser.add_argument("--features", nargs="+", default=["inception_v3"])
    args = parser.parse_args()
    features, store = args.features, args.store
    parts = source_parts(args.photos)

    def extract_some(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for frame in frames:
            for data in frame["part"]:
                part = pickle.loads(data)  # noqa: S301 - our own, from above
                rows = pickle.dumps(extract_part(part, features, store=store, jobs=1))
                yield pd.DataFrame({"rows": [rows]})

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # or executors take the system's python3
    spark = SparkSession.builder.appName("bottlehead").getOrCreate()
    sent = spark.createDataFrame([(pickle.dumps(part),) for part in parts], "part binary")
    done = sent.repartition(len(parts)).mapInPandas(extract_some, "rows binary").collect()
    results = [pickle.loads(row["rows"]) for row in done]  # noqa: S301 - our own
    table = assemble_parts(args.photos, results, features, store=store)
    table.write(args.table)
    print(table)


if __name__ == "__main__":
    main()
