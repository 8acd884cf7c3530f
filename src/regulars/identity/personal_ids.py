"""What a key does with ids that look like a person's own data. Each id is looked at once."""

from collections import OrderedDict
from typing import Final

from regulars.identity.at_rest import KeptName
from regulars.identity.classify import LOOKED_AT_CHARS
from regulars.identity.people_shapes import PersonalKind, personal_kind
from regulars.model.caller import ApiKey, PersonalRule
from regulars.model.errors import CallerError

KNOWN_MAX: Final = 50_000

WORDS: Final = {
    PersonalKind.EMAIL: "an e-mail address",
    PersonalKind.PHONE: "a phone number",
    PersonalKind.CARD: "a card number",
    PersonalKind.NATIONAL_ID: "a national identity number",
    PersonalKind.NAME: "a person's name",
}


class PersonalIds:
    """Applies `PersonalRule`. `flag` costs nothing here: reports find such ids in the ledger."""

    def __init__(self, pseudonym: KeptName) -> None:
        self._pseudonym = pseudonym
        self._known: OrderedDict[str, PersonalKind | None] = OrderedDict()

    def kept(self, user: str, key: ApiKey) -> str:
        """Return the id to go on with.

        Raises:
            CallerError: the key refuses such ids. Names the kind, never the id.
        """
        if key.users.personal is PersonalRule.FLAG:
            return user
        kind = self._kind(user)
        if kind is None:
            return user
        if key.users.personal is PersonalRule.PSEUDONYMISE:
            return self._pseudonym(key.account, user)
        raise CallerError(
            f"user: looks like {WORDS[kind]}, which this API key refuses; send an id that says "
            "nothing about the person, for example regulars.ids.stable_user_id(…)"
        )

    def _kind(self, user: str) -> PersonalKind | None:
        known = self._known
        if user in known:
            known.move_to_end(user)
            return known[user]
        kind = known[user] = personal_kind(user[:LOOKED_AT_CHARS])
        if len(known) > KNOWN_MAX:
            known.popitem(last=False)
        return kind
