"""A key as JSON, under OpenRouter's names. Source: openrouter-api.md section 4.

`usage` is all money spent with the key, as everywhere here; `byok_usage` is the part of it that
a provider bills to a key of our own at a reseller.
"""

from typing import Any

from regulars.identity.key_policies import KeyPolicies
from regulars.model.caller import ApiKey, Role, UserPolicy
from regulars.stores.spendings import KeySpent
from regulars.wire.views import iso_time, usd

Json = dict[str, Any]


def key_json(key: ApiKey, spent: KeySpent, policies: KeyPolicies) -> Json:
    """Write a key as the management of keys shows it."""
    terms = key.terms
    return {
        "hash": key.hash,
        "name": key.name,
        "label": key.label,
        "role": key.role.value,
        "disabled": key.disabled,
        **_spending(key, spent),
        "content_share": terms.content_share,
        "created_at": iso_time(key.created_at_ms * 1000),
        "updated_at": _time(terms.updated_at_ms),
        "creator_user_id": terms.creator,
        "workspace_id": key.account,
        "external_user": policies.user(key),
        **_users(key.users),
        "last_used_at": None if spent.last_us is None else iso_time(spent.last_us),
    }


def own_key_json(key: ApiKey, spent: KeySpent) -> Json:
    """Write a key as it sees itself."""
    return {
        "label": key.label,
        "name": key.name,
        "hash": key.hash,
        **_spending(key, spent),
        "is_free_tier": False,
        "is_management_key": key.role is Role.MANAGEMENT,
        "is_provisioning_key": key.role is Role.MANAGEMENT,
        "rate_limit": {"requests": -1, "interval": "10s", "note": "not limited by rate"},
        "creator_user_id": key.terms.creator,
        "organization_id": None,
        "workspace_id": None,
        "allowed_data_regions": ["global"],
        "free_model_daily_requests": {"limit": 0, "used": 0, "remaining": 0},
        "budgets": [],
        "effective_budget": None,
        "created_at": iso_time(key.created_at_ms * 1000),
    }


def _users(policy: UserPolicy) -> Json:
    return {
        "user_policy": policy.rule.value,
        "user_prefix": policy.prefix,
        "user_sources": [source.value for source in policy.sources],
        "personal_ids": policy.personal.value,
        "new_users_per_hour": policy.new_users_per_hour_max,
        "signing_secret_name": policy.secret_name,
    }


def _spending(key: ApiKey, spent: KeySpent) -> Json:
    terms, remaining = key.terms, spent.remaining(key.terms)
    windows = {
        "": spent.total,
        "_daily": spent.daily,
        "_weekly": spent.weekly,
        "_monthly": spent.monthly,
    }
    return {
        "limit": None if terms.limit_nanousd is None else usd(terms.limit_nanousd),
        "limit_remaining": None if remaining is None else usd(remaining),
        "limit_reset": None if terms.limit_reset is None else terms.limit_reset.value,
        "include_byok_in_limit": terms.include_byok_in_limit,
        **{f"usage{name}": usd(one.nanousd) for name, one in windows.items()},
        **{f"byok_usage{name}": usd(one.byok_nanousd) for name, one in windows.items()},
        "expires_at": _time(terms.expires_at_ms),
    }


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else iso_time(at_ms * 1000)
