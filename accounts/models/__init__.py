from accounts.models.budget import Budget, BudgetLease, BudgetPeriod
from accounts.models.change import AccountChange
from accounts.models.idempotency import IdempotencyRecord
from accounts.models.key import ApiKey, Team
from accounts.models.limit import Limit
from accounts.models.price import Price
from accounts.models.usage import UsageDaily, UsageHourly, UsageRecord

__all__ = [
    "AccountChange",
    "ApiKey",
    "Budget",
    "BudgetLease",
    "BudgetPeriod",
    "IdempotencyRecord",
    "Limit",
    "Price",
    "Team",
    "UsageDaily",
    "UsageHourly",
    "UsageRecord",
]
