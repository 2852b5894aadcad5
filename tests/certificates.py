"""Certificates for loopback servers: by an authority of the test's own, good and bad in each way."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = dt.timedelta(days=1)


class Kind(StrEnum):
    """What is wrong with a certificate, if anything."""

    GOOD = "good"
    SELF_SIGNED = "self signed"
    EXPIRED = "expired"
    WRONG_HOST = "wrong host"
    UNKNOWN_AUTHORITY = "unknown authority"


@dataclass(frozen=True, slots=True)
class Authority:
    """One that signs. file: its own certificate, for `SSL_CERT_FILE`."""

    folder: Path
    file: Path
    key: ec.EllipticCurvePrivateKey
    name: x509.Name

    @classmethod
    def made(cls, folder: Path, name: str = "test authority") -> Authority:
        """A new one."""
        key, own = ec.generate_private_key(ec.SECP256R1()), _name(name)
        certificate = _builder(own, own, key, expired=False).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        certificate = certificate.add_extension(usage, critical=True)
        file = folder / f"{name.replace(' ', '-')}.pem"
        file.write_bytes(certificate.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        return cls(folder, file, key, own)

    def server(self, kind: Kind) -> ssl.SSLContext:
        """What a server on 127.0.0.1 shows."""
        if kind is Kind.UNKNOWN_AUTHORITY:
            return Authority.made(self.folder, "nobody").server(Kind.GOOD)
        key, own = ec.generate_private_key(ec.SECP256R1()), _name(str(kind))
        by_itself = kind is Kind.SELF_SIGNED
        builder = _builder(own, own if by_itself else self.name, key, expired=kind is Kind.EXPIRED)
        hosts: list[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        if kind is Kind.WRONG_HOST:
            hosts = [x509.DNSName("www.example.com"), x509.IPAddress(ipaddress.ip_address("127.0.0.2"))]
        signer = key if by_itself else self.key
        builder = builder.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        file = self.folder / f"{kind.replace(' ', '-')}-{id(key)}.pem"
        pem = serialization.Encoding.PEM
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        file.write_bytes(private + builder.sign(signer, hashes.SHA256()).public_bytes(pem))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(file)
        return context


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    own: x509.Name, by: x509.Name, key: ec.EllipticCurvePrivateKey, *, expired: bool
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    last = now - _DAY if expired else now + _DAY
    builder = x509.CertificateBuilder().subject_name(own).issuer_name(by).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - 2 * _DAY).not_valid_after(last)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
