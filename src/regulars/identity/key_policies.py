"""Policies of users as keys keep them: a fixed user by the name the ledger calls him."""

from dataclasses import dataclass, replace

from regulars.identity.at_rest import KeptName, ShownName, as_it_is
from regulars.identity.policy import asked_policy
from regulars.identity.signing import SigningSecret, no_signing_secrets
from regulars.model.caller import CALLERS_WORD, ApiKey, UserPolicy
from regulars.wire.key_fields import KeyFields


@dataclass(frozen=True, slots=True)
class KeyPolicies:
    """Makes policies, and reads of them what may be shown to people who manage keys."""

    kept: KeptName = as_it_is
    shown: ShownName = as_it_is
    signing: SigningSecret = no_signing_secrets

    def asked(
        self, asked: KeyFields, account: str, old: UserPolicy = CALLERS_WORD, *, secret_name: str
    ) -> UserPolicy:
        """Return what a request makes of a policy, see `asked_policy`. Raises CallerError."""
        policy = asked_policy(asked, old, secret_name=secret_name)
        if policy.user is None or policy.user is old.user:
            return policy
        return replace(policy, user=self.kept(account, policy.user))

    def user(self, key: ApiKey) -> str | None:
        """Return the user of a fixed key, as he may be shown."""
        user = key.users.user
        return None if user is None else self.shown(key.account, user)

    def new_secret(self, key: ApiKey, old: UserPolicy = CALLERS_WORD) -> str | None:
        """Return a key's signing secret where it is new, and so to be told this once."""
        name = key.users.secret_name
        return None if name is None or name == old.secret_name else self.signing(key.account, name)
