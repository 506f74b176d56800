"""The one exception that a user's mistake raises."""


class InputError(Exception):
    """Something the user gave does not fit: a file, a row, a key, a folder, a name.

    The message names the thing, its value and the way out, and holds no patient text. The command line prints it without a
    traceback and exits with code 2; every other exception is a defect of ours and keeps its traceback.
    """
