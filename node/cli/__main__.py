"""`python -m node.cli`: the command `lotvine`, for a child process of the same program."""

from node.cli.entry import main

if __name__ == "__main__":
    main()
