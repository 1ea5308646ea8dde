"""What answers say to browsers and caches: nothing is guessed, framed, remembered, or fetched from elsewhere.

No `Server`, and no header of CORS: pages of other origins read nothing, and nobody is told what runs here.
"""

# Of every answer, also to what is no HTTP: a browser takes it for what it is said to be, and for nothing else.
EVERY = (("X-Content-Type-Options", "nosniff"),)

# Of a page and its files: they load from here alone, run no script but theirs, and stand in no other's frame.
_SOURCES = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
_TEXT_ALONE = {"require-trusted-types-for": "'script'"}  # the browser itself refuses to make markup of a text

# Of what was read and says nothing else of caches: some would keep it, a 404 or a 410 too (RFC 9111, 4.2.2).
UNSAID = (b"cache-control", b"no-store")


def of_page(*, makes_markup: bool) -> dict[str, str]:
    """The headers of a page's files. `makes_markup`: its scripts do so of texts, as Swagger UI's do."""
    policy = _SOURCES if makes_markup else _SOURCES | _TEXT_ALONE
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
