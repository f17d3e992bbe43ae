"""The admin pages of teams, keys, limits, budgets, prices and the ledger."""

from accounts.admin import allowance, key, price, team, usage

__all__ = ["allowance", "key", "price", "team", "usage"]
