"""AWS as far as Moto plays it, and a little further: run by the Python that Moto is installed in, not by ours."""
