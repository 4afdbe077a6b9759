"""The jobs of the shop whose admin is opened. None of them ever runs."""

from django_jobs import job

NAMES = (
    *("send_receipt", "send_reminder", "charge", "refund", "sync_stock", "import_prices"),
    *("export_orders", "resize_image", "call_webhook", "score_risk", "build_report"),
    *("index_product", "expire_cart", "notify_partner", "clean_up", "translate"),
)
QUEUES = ("default", "mail", "payments", "imports", "webhooks", "media", "reports", "slow")
PLACE = "shop.jobs."
RARE = f"{PLACE}close_year"
"""One job in 100,000."""


def work(order: int, email: str = "") -> None:
    """Stand for all of them."""


for _name in (*(PLACE + name for name in NAMES), RARE):
    job(name=_name, max_attempts=20, timeout=3600)(work)
