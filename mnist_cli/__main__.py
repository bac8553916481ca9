"""`python -m mnist_cli`: the same as the console script `mnist`."""

from mnist_cli.cli.app import main

if __name__ == "__main__":
    main()
