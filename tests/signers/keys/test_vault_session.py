"""A session's life after login: renewal, loss, sealing, bounds, silence."""

import asyncio
import hashlib
import logging
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import hvac.exceptions
import pytest

from signers.keys.ecdsa import EcdsaSecret
from signers.keys.port import KeyRef
from signers.keys.transit import TransitKey
from signers.keys.vault_transit import VaultTransitKeys, associated_data
from signers.vault import (
    VaultConnection,
    VaultDenied,
    VaultError,
    VaultSealed,
    VaultSession,
    VaultSessionLost,
    VaultUnavailable,
)
from tests.contract.keys.openbao import STATEMENT_KEY, WRAPPING_KEY, OpenBao, running_openbao

REF = KeyRef(account="pledge-1", chain="BTC", key_id="key-1")
DIGEST = hashlib.sha256(b"a sighash").digest()


@pytest.fixture
def own_openbao(tmp_path: Path) -> Iterator[OpenBao]:
    """A server that the test may seal."""
    folder = tmp_path / "own"
    folder.mkdir()
    with running_openbao(folder) as server:
        yield server


def read_key(vault: VaultConnection) -> None:
    WRAPPING_KEY.check_wrapping(vault)


def token_of(session: VaultSession) -> str:
    return str(session._connection._client.token)


class TestRenewal:
    async def test_a_token_is_renewed_before_it_expires(self, openbao: OpenBao, tmp_path: Path) -> None:
        openbao.add_role("short", ttl="2s")
        session = await VaultSession.open(openbao.deliver(tmp_path, role="short"))
        await asyncio.sleep(3.5)
        await session.run(read_key)
        await session.close()

    async def test_a_token_at_its_maximum_age_ends_the_session(
        self, openbao: OpenBao, tmp_path: Path
    ) -> None:
        openbao.add_role("aging", ttl="2s", max_ttl="3s")
        session = await VaultSession.open(openbao.deliver(tmp_path, role="aging"))
        async with asyncio.timeout(20):
            lost = await session.wait_until_lost()
        assert isinstance(lost, VaultSessionLost)
        with pytest.raises(VaultSessionLost):
            await session.run(read_key)
        await session.close()

    async def test_a_revoked_token_ends_the_session_at_the_next_call(
        self, openbao: OpenBao, vault: VaultSession
    ) -> None:
        openbao.root.auth.token.revoke(token_of(vault))
        with pytest.raises(VaultDenied):
            await vault.run(read_key)
        async with asyncio.timeout(20):
            assert "cannot be renewed" in str(await vault.wait_until_lost())
        with pytest.raises(VaultSessionLost):
            await vault.run(read_key)

    async def test_what_the_policy_forbids_is_denied_and_the_session_lives(self, vault: VaultSession) -> None:
        with pytest.raises(VaultDenied):
            await vault.run(TransitKey(mount="transit", name="of another signer").check_wrapping)
        await asyncio.sleep(0.5)
        await vault.run(read_key)

    async def test_a_token_that_expires_while_sealed_ends_the_session(
        self, own_openbao: OpenBao, tmp_path: Path
    ) -> None:
        own_openbao.add_role("short", ttl="2s")
        session = await VaultSession.open(own_openbao.deliver(tmp_path, role="short"))
        own_openbao.seal()
        async with asyncio.timeout(20):
            assert "expired while OpenBao did not answer" in str(await session.wait_until_lost())
        await session.close()


class TestSealing:
    async def test_sealed_at_start_the_delivered_secret_id_survives(
        self, own_openbao: OpenBao, tmp_path: Path
    ) -> None:
        settings = own_openbao.deliver(tmp_path)
        own_openbao.seal()
        with pytest.raises(VaultSealed):
            await VaultSession.open(settings)
        assert settings.wrapped_secret_id_file.exists()
        own_openbao.unseal()
        await (await VaultSession.open(settings)).close()

    async def test_sealed_midway_signing_is_unavailable_until_unsealed(
        self, own_openbao: OpenBao, tmp_path: Path
    ) -> None:
        session = await VaultSession.open(own_openbao.deliver(tmp_path))
        keys = await VaultTransitKeys.open(
            vault=session, wrapping_key=WRAPPING_KEY, store_file=tmp_path / "keys.db"
        )
        public_key = await keys.create_key(REF)
        before = await keys.sign(REF, DIGEST)
        own_openbao.seal()
        with pytest.raises(VaultSealed):
            await keys.sign(REF, DIGEST)
        with pytest.raises(VaultSealed):
            await keys.create_key(KeyRef(account="pledge-2", chain="BTC", key_id="key-1"))
        assert await keys.public_key(REF) == public_key
        assert await keys.create_key(REF) == public_key
        own_openbao.unseal()
        assert await keys.sign(REF, DIGEST) == before
        await keys.close()
        await session.close()

    async def test_a_server_that_is_gone_is_unavailable(self, tmp_path: Path) -> None:
        with running_openbao(tmp_path) as server:
            session = await VaultSession.open(server.deliver(tmp_path))
        with pytest.raises(VaultUnavailable) as gone:
            await session.run(read_key)
        assert not isinstance(gone.value, VaultSessionLost)
        await session.close()


class TestBounds:
    async def test_requests_beyond_the_bound_are_refused_at_once(
        self, openbao: OpenBao, tmp_path: Path
    ) -> None:
        token_file = openbao.deliver(tmp_path).wrapped_secret_id_file
        session = await VaultSession.open(openbao.settings(token_file, threads=1, requests_max=2))
        go_on = threading.Event()
        busy = [asyncio.create_task(session.run(lambda _: go_on.wait(20))) for _ in range(2)]
        await asyncio.sleep(0.1)
        with pytest.raises(VaultUnavailable, match="too many"):
            await session.run(read_key)
        go_on.set()
        assert await asyncio.gather(*busy) == [True, True]
        await session.run(read_key)
        await session.close()

    async def test_a_cancelled_caller_frees_its_place_only_when_the_thread_is_free(
        self, openbao: OpenBao, tmp_path: Path
    ) -> None:
        token_file = openbao.deliver(tmp_path).wrapped_secret_id_file
        session = await VaultSession.open(openbao.settings(token_file, threads=1, requests_max=1))
        go_on = threading.Event()
        busy = asyncio.create_task(session.run(lambda _: go_on.wait(20)))
        await asyncio.sleep(0.1)
        busy.cancel()
        await asyncio.gather(busy, return_exceptions=True)
        with pytest.raises(VaultUnavailable, match="too many"):
            await session.run(read_key)
        go_on.set()
        await session.close()

    async def test_many_requests_at_once_are_all_answered(self, vault: VaultSession) -> None:
        await asyncio.gather(*(vault.run(read_key) for _ in range(40)))


class TestClosing:
    async def test_closing_revokes_the_token_and_refuses_further_work(
        self, openbao: OpenBao, tmp_path: Path
    ) -> None:
        session = await VaultSession.open(openbao.deliver(tmp_path))
        token = token_of(session)
        await session.close()
        await session.close()
        with pytest.raises(hvac.exceptions.Forbidden):
            openbao.root.auth.token.lookup(token)
        with pytest.raises(VaultSessionLost):
            await session.run(read_key)

    async def test_closing_while_sealed_still_ends(self, own_openbao: OpenBao, tmp_path: Path) -> None:
        session = await VaultSession.open(own_openbao.deliver(tmp_path))
        own_openbao.seal()
        await session.close()


class TestSilence:
    """Nothing secret is said: not in logs, not in representations, not in errors and their frames' locals."""

    async def test_a_whole_life_says_nothing_secret(
        self, openbao: OpenBao, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        settings = openbao.deliver(tmp_path)
        secrets = {settings.wrapped_secret_id_file.read_text(), settings.role_id}
        session = await VaultSession.open(settings)
        secrets.add(token_of(session))
        keys = await VaultTransitKeys.open(
            vault=session, wrapping_key=WRAPPING_KEY, store_file=tmp_path / "keys.db"
        )
        await keys.create_key(REF)
        await keys.sign(REF, DIGEST)
        secrets |= plaintext_forms(openbao, keys)
        said = f"{settings!r} {session!r} {keys!r} {session._connection!r}"
        await keys.close()
        await session.close()
        said += caplog.text
        assert "vault session opened" in said
        assert [secret for secret in secrets if secret in said] == []

    @pytest.mark.parametrize("seal", [True, False], ids=["sealed", "denied"])
    async def test_a_failed_wrapping_says_nothing_of_the_key(
        self, own_openbao: OpenBao, tmp_path: Path, seal: bool
    ) -> None:
        session = await VaultSession.open(own_openbao.deliver(tmp_path))
        key = WRAPPING_KEY
        if seal:
            own_openbao.seal()
        else:
            key = TransitKey(mount="transit", name="of-another-signer")
        with EcdsaSecret.generate() as secret:
            error = await failure_of(session, lambda vault: key.wrap(vault, secret, associated_data=b"a"))
            secrets = {secret.to_base64(), token_of(session)}
        assert isinstance(error, VaultSealed if seal else VaultDenied)
        assert (error.__cause__, error.__context__) == (None, None)
        rendered = rendered_with_locals(error)
        assert "transit encrypt" in rendered
        assert [each for each in secrets if each in rendered] == []
        await session.close()

    async def test_the_errors_of_the_library_would_have_told(self, openbao: OpenBao) -> None:
        """Why errors are rebuilt: hvac's own keep the answer, and its frames the token."""
        with pytest.raises(hvac.exceptions.VaultError) as failed:
            openbao.root.secrets.transit.sign_data(name=STATEMENT_KEY.name, hash_input="no base64!")
        assert openbao.root.token in rendered_with_locals(failed.value)


async def failure_of(session: VaultSession, work: Callable[[VaultConnection], object]) -> VaultError:
    try:
        await session.run(work)
    except VaultError as exc:
        return exc
    raise AssertionError("it did not fail")


def rendered_with_locals(error: BaseException) -> str:
    """An error as a log renderer that prints locals shows it."""
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


def plaintext_forms(openbao: OpenBao, keys: VaultTransitKeys) -> set[str]:
    """The stored key as a leak would show it: base64 and hexadecimal, obtained with the root token."""
    row = keys._store.find(REF)
    assert row is not None
    with (
        WRAPPING_KEY.unwrap(_AsRoot(openbao), row.ciphertext, associated_data=associated_data(REF)) as secret,
        secret._secret.view() as view,
    ):
        return {secret.to_base64(), view.hex()}


class _AsRoot(VaultConnection):
    """A connection that speaks with the root token of the test's server."""

    def __init__(self, openbao: OpenBao) -> None:
        self._client = openbao.root
