"""What terraform/ promises: modules that are formatted, valid and tested, and that apply, change and go again."""

STARTED = "CHECK_TERRAFORM"  # set by `make check-terraform`: `make test` leaves these tests to it
