"""The strictest policy that Django's own admin bears: nothing inline, nothing from elsewhere."""

POLICY = "; ".join(  # noqa: FLY002 - one to a line
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)


def strict(get_response):
    """Send the policy with every page: what breaks it is said in the browser's console."""

    def respond(request):
        response = get_response(request)
        response["Content-Security-Policy"] = POLICY
        return response

    return respond
