"""python -m benchmarks.compression: the page and its picture again, from what was recorded."""

from benchmarks.compression.bench import write

if __name__ == "__main__":
    write()
