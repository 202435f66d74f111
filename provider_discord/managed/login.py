"""From a ProviderConfig's Secret to a session, and what becomes of one whose token is refused.

A token that was refused is not tried again until the Secret's data changes: one 401 and then silence. Whom a token
belongs to is asked when it is new, and again now and then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from provider_discord.kube.access import ObjectAccess
from provider_discord.kube.resource import Obj
from provider_discord.managed import meta, results
from provider_discord.managed.credentials import BadCredentials, Token, read_token
from provider_discord.managed.errors import ManagedError
from provider_discord.managed.gate import ConfigState
from provider_discord.managed.results import Result
from provider_discord.managed.sessions import Identity, Session, SessionFactory, TokenRejected
from provider_discord.managed.timings import ManagedTimings


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Connects ProviderConfigs; keeps nothing itself.

    Attributes:
        access: Reads the Secret.
        factory: Opens sessions.
        timings: This room's constants.
        now: Monotonic clock.
        register_secret: Told of every token before it is used, so that no log ever shows it.
    """

    access: ObjectAccess
    factory: SessionFactory
    timings: ManagedTimings
    now: Callable[[], float]
    register_secret: Callable[[str], None]

    def connect(self, config: Obj, state: ConfigState) -> tuple[ConfigState, Result]:
        """Return the state that the Secret and the token lead to, and when to look again.

        Raises:
            KubeError: the API server did not answer.
        """
        generation = meta.generation_of(config)
        retry = results.after(self.timings.secret_retry_seconds)
        try:
            token = read_token(self.access, config)
        except BadCredentials as cause:
            return replace(state, session=None, generation=generation, problem=str(cause)), retry
        self.register_secret(token.value)
        credential = _credential(config, token)
        if state.rejected and state.credential == credential:
            problem = _rejected(config, "Discord answered 401")
            return state.refused(problem, credential=credential, generation=generation), retry
        session = state.session
        known = session is not None and state.credential == credential
        if known and self.factory.rejected(session):
            problem = _rejected(config, "Discord answered 401")
            return state.refused(problem, credential=credential, generation=generation), retry
        fresh = known and self.now() - state.verified_at < self.timings.verify_seconds
        if fresh and state.generation == generation:
            return state, results.poll(self.timings.config_poll_seconds)
        return self._open(config, state, token, known=known, fresh=fresh)

    def _open(
        self, config: Obj, state: ConfigState, token: Token, *, known: bool, fresh: bool
    ) -> tuple[ConfigState, Result]:
        """Open a session where the config or token is new, and ask whom the token belongs to."""
        generation, credential = meta.generation_of(config), _credential(config, token)
        opened = None
        try:
            if known and state.generation == generation:
                session = state.session
            else:
                session = opened = self.factory.open(config=config, token=token.value)
            identity = state.identity if fresh and state.identity else self._verify(session)
        except TokenRejected as cause:
            self._close(opened)
            problem = _rejected(config, str(cause))
            refused = state.refused(problem, credential=credential, generation=generation)
            return refused, results.after(self.timings.secret_retry_seconds)
        except ManagedError as cause:
            self._close(opened)
            kept = state if known else ConfigState(generation=generation)
            problem = f"cannot check the bot token: {cause}"
            delay = cause.retry_after
            result = results.failed() if delay is None else results.after(delay, failed=True)
            return replace(kept, problem=problem), result
        except BaseException:
            self._close(opened)
            raise
        connected = ConfigState(
            session=session,
            credential=credential,
            generation=generation,
            identity=identity,
            verified_at=state.verified_at if fresh else self.now(),
        )
        return connected, results.poll(self.timings.config_poll_seconds)

    def _verify(self, session: Session) -> Identity:
        if self.factory.rejected(session):  # Another config with the same token has found out already.
            msg = "Discord answered 401"
            raise TokenRejected(msg)
        return self.factory.verify(session)

    def _close(self, session: Session | None) -> None:
        if session is not None:
            self.factory.close(session)


def _credential(config: Mapping[str, Any], token: Token) -> str:
    return f"{token.digest} {(config.get('spec') or {}).get('baseURL') or ''}"


def _rejected(config: Mapping[str, Any], cause: str) -> str:
    ref = config["spec"]["credentials"]["secretRef"]
    return (
        f"the bot token in Secret {ref['namespace']}/{ref['name']} (key {ref['key']}) was rejected; it is tried again "
        f"when the Secret changes. Copy a valid token from Discord's developer portal into it. Cause: {cause}"
    )
