import os
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from greenbench.core.errors import ConfigurationError
from greenbench.fleet.certificates import make_certificates, server_context

NAMES = {"ca.pem", "server.pem", "server-key.pem", "client.pem", "client-key.pem"}


def make(folder: Path, *hosts: str, days: int = 2) -> tuple[Path, ...]:
    return make_certificates(folder, hosts or ("localhost",), days=days, now=datetime.now(UTC))


def read(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_every_file_is_its_owners_alone_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        files = make(tmp_path / "certs")
    finally:
        os.umask(before)
    assert {file.name for file in files} == NAMES
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "certs").stat().st_mode) == 0o700


def test_no_key_that_could_sign_more_is_written(tmp_path):
    make(tmp_path / "certs")
    authority = read(tmp_path / "certs" / "ca.pem")
    keys = [file for file in (tmp_path / "certs").iterdir() if "KEY" in file.read_text()]
    assert {key.name for key in keys} == {"server-key.pem", "client-key.pem"}
    for role in ("server", "client"):
        certificate = read(tmp_path / "certs" / f"{role}.pem")
        certificate.verify_directly_issued_by(authority)
        assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False


def test_hosts_and_days_are_those_asked_for(tmp_path):
    make(tmp_path / "certs", "gpu.example.org", "192.0.2.7", "::1", days=3)
    server = read(tmp_path / "certs" / "server.pem")
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["gpu.example.org"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.7", "::1"]
    left = server.not_valid_after_utc - datetime.now(UTC)
    assert timedelta(days=2, hours=23) < left <= timedelta(days=3)


def test_keys_that_are_there_are_not_overwritten(tmp_path):
    make(tmp_path / "certs")
    before = (tmp_path / "certs" / "client-key.pem").read_bytes()
    with pytest.raises(ConfigurationError, match="already there; name another folder"):
        make(tmp_path / "certs")
    assert (tmp_path / "certs" / "client-key.pem").read_bytes() == before


def test_no_key_is_written_through_a_link_that_was_laid(tmp_path):
    (tmp_path / "certs").mkdir()
    (tmp_path / "certs" / "server-key.pem").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="already there"):
        make(tmp_path / "certs")
    assert not (tmp_path / "elsewhere").exists()


def test_a_server_requires_clients_certificates_and_tls_1_3(tmp_path):
    make(tmp_path / "certs")
    context = server_context(tmp_path / "certs")
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3


def test_a_missing_file_names_the_command(tmp_path):
    with pytest.raises(ConfigurationError, match=r"ca\.pem is not there; make it with `greenbench certs"):
        server_context(tmp_path)


def test_a_key_that_others_can_read_is_not_used(tmp_path):
    make(tmp_path / "certs")
    (tmp_path / "certs" / "server-key.pem").chmod(0o644)
    with pytest.raises(ConfigurationError, match="can be read by others; `chmod 600`"):
        server_context(tmp_path / "certs")


def test_a_damaged_certificate_is_one_line(tmp_path):
    make(tmp_path / "certs")
    (tmp_path / "certs" / "server.pem").write_text("nonsense")
    with pytest.raises(ConfigurationError, match="make them anew"):
        server_context(tmp_path / "certs")


@pytest.mark.parametrize("host", ["bücher.example", ""])
def test_a_host_that_cannot_stand_in_a_certificate_is_refused(tmp_path, host):
    with pytest.raises(ConfigurationError):
        make_certificates(tmp_path / "certs", [host] if host else [], days=1, now=datetime.now(UTC))
