"""How a session begins: one good delivery, and one mutation of it per refusal."""

import asyncio
from pathlib import Path
from typing import Any

import certifi
import pytest
from requests.adapters import HTTPAdapter

from signers.vault import (
    Answer,
    SecretIdIntercepted,
    SecretIdNotDelivered,
    VaultAnswerUnfit,
    VaultLoginRefused,
    VaultSession,
    VaultSettings,
    VaultUnavailable,
)
from signers.vault_connection import VaultConnection
from tests.contract.keys.openbao import OpenBao, write_private


async def opened_and_closed(settings: VaultSettings) -> None:
    await (await VaultSession.open(settings)).close()


@pytest.fixture
def delivered(openbao: OpenBao, tmp_path: Path) -> VaultSettings:
    return openbao.deliver(tmp_path)


async def test_a_fresh_delivery_opens_a_session_and_leaves_no_file(delivered: VaultSettings) -> None:
    session = await VaultSession.open(delivered)
    assert not delivered.wrapped_secret_id_file.exists()
    await session.close()


async def test_a_second_start_needs_a_second_delivery(delivered: VaultSettings) -> None:
    await opened_and_closed(delivered)
    with pytest.raises(SecretIdNotDelivered):
        await VaultSession.open(delivered)


class TestInterception:
    async def test_a_token_that_somebody_unwrapped_is_an_alarm(
        self, openbao: OpenBao, delivered: VaultSettings
    ) -> None:
        openbao.root.sys.unwrap(token=delivered.wrapped_secret_id_file.read_text())
        with pytest.raises(SecretIdIntercepted, match=r"possible interception.*spent"):
            await VaultSession.open(delivered)
        assert not delivered.wrapped_secret_id_file.exists()

    async def test_a_token_unwrapped_between_check_and_use_is_an_alarm(
        self, openbao: OpenBao, delivered: VaultSettings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        check = VaultConnection._require_own_unspent

        def check_then_lose_the_race(connection: VaultConnection, token: str) -> None:
            check(connection, token)
            openbao.root.sys.unwrap(token=token)

        monkeypatch.setattr(VaultConnection, "_require_own_unspent", check_then_lose_the_race)
        with pytest.raises(SecretIdIntercepted, match="between two requests"):
            await VaultSession.open(delivered)

    async def test_a_token_that_wraps_something_else_is_an_alarm(
        self, openbao: OpenBao, delivered: VaultSettings
    ) -> None:
        forged = openbao.root.sys.wrap(payload={"secret_id": "chosen by the interceptor"}, ttl=60)
        write_private(delivered.wrapped_secret_id_file, forged["wrap_info"]["token"])
        with pytest.raises(SecretIdIntercepted, match="SecretID path"):
            await VaultSession.open(delivered)

    async def test_a_token_of_another_role_is_an_alarm(
        self, openbao: OpenBao, delivered: VaultSettings
    ) -> None:
        openbao.add_role("signer-2", ttl="20m")
        write_private(delivered.wrapped_secret_id_file, openbao.wrapped_secret_id("signer-2"))
        with pytest.raises(SecretIdIntercepted, match="SecretID path"):
            await VaultSession.open(delivered)

    async def test_an_expired_token_is_an_alarm(self, openbao: OpenBao, delivered: VaultSettings) -> None:
        write_private(delivered.wrapped_secret_id_file, openbao.wrapped_secret_id(wrap_ttl="1s"))
        await asyncio.sleep(1.5)
        with pytest.raises(SecretIdIntercepted):
            await VaultSession.open(delivered)


class TestDeliveredFile:
    async def test_no_file_is_refused(self, delivered: VaultSettings) -> None:
        delivered.wrapped_secret_id_file.unlink()
        with pytest.raises(SecretIdNotDelivered):
            await VaultSession.open(delivered)

    @pytest.mark.parametrize("mode", [0o640, 0o604])
    async def test_a_file_others_can_read_is_refused_and_kept(
        self, delivered: VaultSettings, mode: int
    ) -> None:
        delivered.wrapped_secret_id_file.chmod(mode)
        with pytest.raises(SecretIdNotDelivered, match="0600"):
            await VaultSession.open(delivered)
        assert delivered.wrapped_secret_id_file.exists()

    async def test_a_symbolic_link_is_refused(self, delivered: VaultSettings) -> None:
        moved = delivered.wrapped_secret_id_file.rename(
            delivered.wrapped_secret_id_file.with_suffix(".moved")
        )
        delivered.wrapped_secret_id_file.symlink_to(moved)
        with pytest.raises(SecretIdNotDelivered):
            await VaultSession.open(delivered)

    @pytest.mark.parametrize("content", ["", "short", "s.has spaces in it and more", "x" * 600])
    async def test_what_is_no_token_is_refused_without_repeating_it(
        self, delivered: VaultSettings, content: str
    ) -> None:
        write_private(delivered.wrapped_secret_id_file, content)
        with pytest.raises(SecretIdNotDelivered, match=r"did not contain a wrapping token$"):
            await VaultSession.open(delivered)


class TestLogin:
    async def test_another_role_id_is_refused(self, openbao: OpenBao, tmp_path: Path) -> None:
        token_file = write_private(tmp_path / "token", openbao.wrapped_secret_id())
        settings = openbao.settings(token_file, role_id="00000000-0000-0000-0000-000000000000")
        with pytest.raises(VaultLoginRefused, match="refused"):
            await VaultSession.open(settings)

    async def test_a_token_that_cannot_be_renewed_is_refused(self, openbao: OpenBao, tmp_path: Path) -> None:
        openbao.root.auth.approle.create_or_update_approle("batch", token_ttl="20m", token_type="batch")
        with pytest.raises(VaultLoginRefused, match="not renewable"):
            await VaultSession.open(openbao.deliver(tmp_path, role="batch"))

    async def test_a_root_token_is_refused(
        self, delivered: VaultSettings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # OpenBao itself gives no role the root policy; a forged or future one might.
        call = VaultConnection.call

        def with_root_policy(connection: VaultConnection, operation: str, request: object) -> Answer:
            answer = call(connection, operation, request)  # type: ignore[arg-type] # passed through
            if operation == "AppRole login":
                auth = answer._body["auth"]  # type: ignore[index] # a JSON object
                auth["policies"] = ["default", "root"]
            return answer

        monkeypatch.setattr(VaultConnection, "call", with_root_policy)
        with pytest.raises(VaultLoginRefused, match="root policy"):
            await VaultSession.open(delivered)


class TestTransport:
    async def test_a_certificate_of_another_authority_is_refused_before_the_token_is_taken(
        self, openbao: OpenBao, delivered: VaultSettings
    ) -> None:
        elsewhere = Path(certifi.where())
        settings = openbao.settings(delivered.wrapped_secret_id_file, ca_file=elsewhere)
        with pytest.raises(VaultUnavailable, match="SSLError"):
            await VaultSession.open(settings)
        assert delivered.wrapped_secret_id_file.exists()

    async def test_only_the_configured_authority_is_trusted(self, delivered: VaultSettings) -> None:
        connection = VaultConnection(delivered)
        connection.call("seal status", lambda client: client.sys.read_seal_status())
        assert connection._http.verify == str(delivered.ca_file)
        assert connection._client.adapter._kwargs["verify"] == str(delivered.ca_file)
        pinned = connection._http.get_adapter(delivered.url)
        assert isinstance(pinned, HTTPAdapter)
        assert len(pinned.poolmanager.connection_pool_kw["ssl_context"].get_ca_certs()) == 1
        connection.close()

    async def test_the_environment_steers_nothing(
        self, openbao: OpenBao, delivered: VaultSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("VAULT_TOKEN", openbao.root.token)
        monkeypatch.setenv("VAULT_ADDR", "https://127.0.0.1:1")
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/dev/null")
        monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "tls-secrets"))
        session = await VaultSession.open(delivered)
        assert session._connection._client.token != openbao.root.token
        await session.close()
        assert session._connection._client.token == ""
        assert not (tmp_path / "tls-secrets").exists()

    async def test_nobody_there_is_unavailable(self, delivered: VaultSettings, openbao: OpenBao) -> None:
        settings = openbao.settings(delivered.wrapped_secret_id_file, url="https://127.0.0.1:1")
        with pytest.raises(VaultUnavailable, match="ConnectionError"):
            await VaultSession.open(settings)
        assert delivered.wrapped_secret_id_file.exists()

    def test_an_authority_that_cannot_be_read_stops_the_start(
        self, openbao: OpenBao, delivered: VaultSettings
    ) -> None:
        settings = openbao.settings(delivered.wrapped_secret_id_file, ca_file=Path("/nowhere/ca.pem"))
        with pytest.raises(ValueError, match=r"/nowhere/ca\.pem"):
            VaultConnection(settings)


@pytest.mark.parametrize(
    "change",
    [
        {"url": "http://127.0.0.1:8200"},
        {"url": "https://user:pass@127.0.0.1:8200"},
        {"url": "https://127.0.0.1:8200/v1"},
        {"request_seconds_max": 0},
        {"request_seconds_max": 61},
        {"threads": 0},
        {"requests_max": 3},
        {"requests_max": 2000},
    ],
)
def test_a_bad_setting_is_refused(openbao: OpenBao, tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="vault"):
        openbao.settings(tmp_path / "token", **change)


def test_settings_do_not_show_the_role_id(openbao: OpenBao, tmp_path: Path) -> None:
    settings = openbao.settings(tmp_path / "token")
    assert settings.role_id not in repr(settings)


class TestAnswer:
    ANSWER = Answer("login", {"auth": {"ttl": 60, "on": True, "token": "s.secret", "policies": ["a", 1]}})

    def test_it_reads_what_is_there(self) -> None:
        assert self.ANSWER.number("auth", "ttl") == 60
        assert self.ANSWER.boolean("auth", "on") is True
        assert self.ANSWER.text("auth", "token") == "s.secret"

    def test_what_is_missing_or_of_another_type_is_refused(self) -> None:
        for path in (("auth", "none"), ("auth", "ttl"), ("auth", "token", "deeper"), ()):
            with pytest.raises(VaultAnswerUnfit):
                self.ANSWER.text(*path)
        with pytest.raises(VaultAnswerUnfit):
            self.ANSWER.number("auth", "on")
        with pytest.raises(VaultAnswerUnfit):
            self.ANSWER.texts("auth", "policies")

    def test_it_shows_nothing_of_itself(self) -> None:
        assert "s.secret" not in f"{self.ANSWER!r}{self.ANSWER}"
