"""What is spent of a budget, as a program sees it that watches and raises it."""

from django.test import Client
from django.utils import timezone

from accounts.models import BudgetPeriod, Team


def test_a_budget_tells_what_is_spent_of_it(admin: Client, team: Team) -> None:
    order = {"scope": "team", "team": team.pk, "amount_nano_usd": 50, "period": "month"}
    made = admin.post("/api/budgets/", order, content_type="application/json").json()
    assert (made["spent_nano_usd"], made["spent_tokens"]) == (0, 0)
    path = f"/api/budgets/{made['id']}/"
    tag = admin.get(path)["ETag"]
    this, last = f"{timezone.now():%Y-%m}", "2026-01"
    for period, spent in ((this, 30), (last, 7)):
        BudgetPeriod.objects.create(budget_id=made["id"], period=period, spent_nano_usd=spent, spent_tokens=spent * 2)
    for row in (admin.get(path).json(), admin.get("/api/budgets/").json()["results"][0]):
        assert (row["spent_nano_usd"], row["spent_tokens"]) == (30, 60)
    # Spending is no change of somebody else's, and nothing that can be written.
    raised = admin.patch(
        path,
        {"amount_nano_usd": 80, "spent_nano_usd": 0},
        content_type="application/json",
        headers={"If-Match": tag},
    )
    assert (raised.status_code, raised.json()["spent_nano_usd"]) == (200, 30)
