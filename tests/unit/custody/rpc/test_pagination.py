"""Pages: whole, in order, and with tokens that are good for one caller and request only."""

import base64

import grpc
import pytest
from bailee.custody.v1 import collateral_service_pb2 as rpc
from google.protobuf.message import Message

from custody.rpc import backend
from tests.unit.custody.rpc.conftest import At
from tests.unit.custody.rpc.deployment import Deployment
from tests.unit.custody.rpc.rows import ACCOUNT, METHODS, ROWS

LISTS = [name for name in METHODS if "/List" in name]


def answer_of(name: str, raw: bytes) -> Message:
    cls: type[Message] = getattr(rpc, METHODS[name].output_type.name)
    return cls.FromString(raw)


def items_of(answer: Message) -> list[Message]:
    (field,) = (field for field in answer.DESCRIPTOR.fields if field.is_repeated)
    return list(getattr(answer, field.name))


async def pages(service: Deployment, word: str, name: str, size: int) -> list[list[Message]]:
    request = ROWS[name].request(service.scenario)
    found, token = [], ""
    while True:
        request.page_size, request.page_token = size, token  # type: ignore[attr-defined]
        answer = answer_of(name, await service.call(word, name, request))
        found.append(items_of(answer))
        token = answer.next_page_token  # type: ignore[attr-defined]
        if not token:
            return found
        assert len(token) <= 512


@pytest.mark.parametrize("name", LISTS)
async def test_page_by_page_is_the_same_as_at_once(name: str, at: At) -> None:
    service = await at(ROWS[name])
    (whole,) = await pages(service, "auditor", name, 1000)
    singly = await pages(service, "auditor", name, 1)
    assert [item for page in singly for item in page] == whole
    assert all(len(page) == 1 for page in singly)
    names = [item.name for item in whole]  # type: ignore[attr-defined]
    assert len(set(names)) == len(names) > 0


async def test_a_page_ends_before_it_is_too_large(at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "CollateralService/ListPostings"
    service = await at(ROWS[name])
    (whole,) = await pages(service, "auditor", name, 1000)
    monkeypatch.setattr(backend, "PAGE_BYTES_MAX", 2 * whole[0].ByteSize() + 10)
    small = await pages(service, "auditor", name, 1000)
    assert len(small) > 1
    assert [item for page in small for item in page] == whole


async def first_token(service: Deployment, word: str, name: str) -> tuple[Message, str]:
    request = ROWS[name].request(service.scenario)
    request.page_size = 1  # type: ignore[attr-defined]
    answer = answer_of(name, await service.call(word, name, request))
    return request, answer.next_page_token  # type: ignore[attr-defined]


async def refused(service: Deployment, word: str, name: str, request: Message, token: str) -> None:
    request.page_token = token  # type: ignore[attr-defined]
    error = await service.refused(word, name, request)
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")
    assert error.paths == {"page_token"}


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("token", ["x", "AAAA", "!!!!", "\u00e9", "A" * 512, "=" * 8])
async def test_a_token_that_was_made_up(name: str, token: str, at: At) -> None:
    service = await at(ROWS[name])
    await refused(service, "auditor", name, ROWS[name].request(service.scenario), token)


async def test_a_token_with_one_bit_changed(at: At) -> None:
    name = "CollateralService/ListPostings"
    service = await at(ROWS[name])
    request, token = await first_token(service, "auditor", name)
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    for index in range(len(raw)):
        changed = bytearray(raw)
        changed[index] ^= 1
        text = base64.urlsafe_b64encode(bytes(changed)).rstrip(b"=").decode()
        await refused(service, "auditor", name, request, text)


async def test_a_token_of_another_method_caller_or_request(at: At) -> None:
    name, other = "CollateralService/ListPostings", "CollateralService/ListAccounts"
    service = await at(ROWS[name])
    request, token = await first_token(service, "auditor", name)
    await refused(service, "pledgor", name, request, token)
    await refused(service, "auditor", other, ROWS[other].request(service.scenario), token)
    request.parent = "accounts/acct-neighbour"  # type: ignore[attr-defined]
    await refused(service, "auditor", name, request, token)
    request.parent = ACCOUNT  # type: ignore[attr-defined]
    request.page_size = 7  # type: ignore[attr-defined]
    request.page_token = token  # type: ignore[attr-defined]
    assert await service.call("auditor", name, request)  # another size is the same request
