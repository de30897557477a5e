"""What a test knows of the played network: its parts, what was shown, and every signer's real keys."""

import base64
import sqlite3
from dataclasses import dataclass

from deploy.localnet.demo.record import Recorder
from deploy.localnet.localnet import Localnet
from signers.keys.port import KeyRef
from signers.keys.vault_transit import associated_data

SIGNERS = (1, 2, 3)


@dataclass(frozen=True)
class Played:
    """The network after the demo."""

    net: Localnet
    record: Recorder

    def evidence(self, name: str) -> str:
        """The last thing of that name that the demo left as evidence."""
        return str([step.evidence[name] for step in self.record.steps if name in step.evidence][-1])

    def private_keys(self, number: int, *, chain: str | None = None) -> list[bytes]:
        """What whoever owns one signer and its OpenBao has: its account keys, in the clear."""
        store = self.net.state.path / f"signer-{number}" / "keys.db"
        with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as connection:
            rows = connection.execute("SELECT account, chain, key_id, ciphertext FROM wrapped_key").fetchall()
        connection.close()
        return [
            self._unwrap(number, KeyRef(account=a, chain=c, key_id=k), text)
            for a, c, k, text in rows
            if chain in {None, c}
        ]

    def _unwrap(self, number: int, ref: KeyRef, ciphertext: str) -> bytes:
        bao = self.net.openbao[number]
        answer = bao.administrator().write(
            f"{bao.access.transit_mount}/decrypt/{bao.access.wrap_key}",
            ciphertext=ciphertext,
            associated_data=base64.b64encode(associated_data(ref)).decode(),
        )
        raw = base64.b64decode(answer["data"]["plaintext"])
        assert len(raw) == 32
        return raw
