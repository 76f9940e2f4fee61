"""python -m model_lego."""

from model_lego.cli import main

if __name__ == "__main__":
    main()
