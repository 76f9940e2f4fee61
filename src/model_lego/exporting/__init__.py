"""Parts as files of other runtimes: written, run in a fresh process, and held against the part."""
