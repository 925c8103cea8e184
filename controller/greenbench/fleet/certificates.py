"""Certificates for `serve` beyond loopback: one authority, one server, one client."""

import ipaddress
import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from greenbench.core.errors import ConfigurationError

AUTHORITY = "ca.pem"
_OWNER_ONLY = 0o600
_CLOCK_SLACK = timedelta(minutes=5)
"""How far another host's clock may be behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """A certificate and the key that belongs to it."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def make_certificates(folder: Path, hosts: Sequence[str], *, days: int, now: datetime) -> tuple[Path, ...]:
    """Write ``ca.pem``, ``server.pem``, ``server-key.pem``, ``client.pem`` and ``client-key.pem``.

    The authority's key signs these two and is never written: nobody can sign a third with it.

    Args:
        folder: Made where it is not there; closed to everybody else.
        hosts: Names and addresses that clients will use for the server.
        days: How long they hold.
        now: The present, with its time zone.

    Returns:
        The files, each readable by its owner alone (0600).

    Raises:
        ConfigurationError: A file is there already, the folder cannot be written, or no host is named.
    """
    if not hosts:
        raise ConfigurationError("no host is named; name with --host what clients will connect to")
    ends = now + timedelta(days=days)
    authority = _authority(now - _CLOCK_SLACK, ends)
    made = {AUTHORITY: authority.certificate.public_bytes(serialization.Encoding.PEM)}
    for role, usage in (
        ("server", ExtendedKeyUsageOID.SERVER_AUTH),
        ("client", ExtendedKeyUsageOID.CLIENT_AUTH),
    ):
        names = [_name(host) for host in hosts] if role == "server" else [x509.DNSName("greenbench-client")]
        pair = _signed(authority, f"greenbench {role}", names, usage)
        made[f"{role}.pem"] = pair.certificate.public_bytes(serialization.Encoding.PEM)
        made[f"{role}-key.pem"] = _key_bytes(pair.key)
    return _write(folder, made)


def server_context(folder: Path) -> ssl.SSLContext:
    """Return TLS 1.3 for a server that speaks only to clients of the same authority.

    Raises:
        ConfigurationError: A file is missing, unreadable for this user, readable for others, or damaged.
    """
    for name in (AUTHORITY, "server.pem", "server-key.pem"):
        if not (folder / name).is_file():
            raise ConfigurationError(
                f"--certs {folder}: {name} is not there; make it with `greenbench certs {folder}`"
            )
    if (folder / "server-key.pem").stat().st_mode & 0o077:
        raise ConfigurationError(f"{folder}/server-key.pem can be read by others; `chmod 600` it")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2"])  # without which gRPC refuses the connection
    try:
        context.load_cert_chain(folder / "server.pem", folder / "server-key.pem")
        context.load_verify_locations(folder / AUTHORITY)
    except (ssl.SSLError, OSError) as error:
        raise ConfigurationError(f"--certs {folder}: {error}; make them anew in another folder") from error
    return context


def _authority(begins: datetime, ends: datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _subject("greenbench authority")
    builder = (
        _builder(key, name, name, begins, ends)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
    )
    return _Pair(certificate=builder.sign(key, hashes.SHA256()), key=key)


def _signed(
    authority: _Pair, subject: str, names: Sequence[x509.GeneralName], usage: x509.ObjectIdentifier
) -> _Pair:
    key, ca = ec.generate_private_key(ec.SECP256R1()), authority.certificate
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    begins, ends = ca.not_valid_before_utc, ca.not_valid_after_utc
    builder = (
        _builder(key, _subject(subject), ca.subject, begins, ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(issuer, critical=False)
    )
    return _Pair(certificate=builder.sign(authority.key, hashes.SHA256()), key=key)


def _builder(
    key: ec.EllipticCurvePrivateKey, subject: x509.Name, issuer: x509.Name, begins: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        pass
    try:
        return x509.DNSName(host)
    except ValueError as error:
        raise ConfigurationError(f"--host {host!r} is neither a host's name nor an address") from error


def _key_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(folder: Path, made: dict[str, bytes]) -> tuple[Path, ...]:
    for name in made:
        if (folder / name).exists() or (folder / name).is_symlink():
            raise ConfigurationError(f"{folder / name} is already there; name another folder")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, content in made.items():
            # Opened with its mode, so that there is no moment in which others can read a key.
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with os.fdopen(os.open(folder / name, flags, _OWNER_ONLY), "wb") as file:
                file.write(content)
    except OSError as error:
        raise ConfigurationError(
            f"{folder} cannot be written: {error.strerror}; name another folder"
        ) from error
    return tuple(folder / name for name in made)
