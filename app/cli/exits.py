"""What the exit codes mean, and how a command ends early."""

from enum import IntEnum


class Exit(IntEnum):
    """Every exit code; the name says it, the comment why."""

    DONE = 0
    FAILED = 1  # something was rejected, a promise was broken, an answer was no
    WRONG = 2  # wrongly asked: an option, a setting, a file that cannot be read
    AWAY = 3  # the collector did not answer for as long as was waited; what is not told as kept may be or not
    QUEUED = 4  # on disk in the queue file, not yet stored
    INTERRUPTED = 130  # Ctrl-C
    BROKEN_PIPE = 141  # whoever read the output has left


class Stop(Exception):
    """A command cannot go on; the message is one line for people."""

    def __init__(self, sentence: str, code: Exit = Exit.FAILED) -> None:
        super().__init__(sentence)
        self.code = code
