import socket

import pytest

from deploy.localnet.ports import LOOPBACK, Ports

pytestmark = pytest.mark.system


def test_a_name_keeps_its_port() -> None:
    with Ports() as ports:
        assert ports.port("a") == ports.port("a") != ports.port("b")


def test_nobody_else_gets_a_held_port() -> None:
    with Ports() as ports, socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind((LOOPBACK, ports.port("a")))


def test_a_server_that_reuses_addresses_may_listen_on_it_again_and_again() -> None:
    with Ports() as ports:
        for _ in range(2):
            with socket.socket() as server:
                server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                server.bind((LOOPBACK, ports.port("a")))
                server.listen()
                with socket.create_connection((LOOPBACK, ports.port("a"))) as client:
                    accepted, _address = server.accept()
                    accepted.close()
                    assert client.recv(1) == b""


def test_a_held_port_refuses_connections_while_its_part_is_down() -> None:
    with Ports() as ports, pytest.raises(ConnectionRefusedError):
        socket.create_connection((LOOPBACK, ports.port("a")), timeout=5)
