#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "lib/http/client.h"
#include "lib/io/file_system.h"
#include "tests/support/raw_socket.h"
#include "tests/support/temp_dir.h"

namespace narthex::http {
namespace {

using testing::RawConnection;
using testing::RawServer;

std::string TakePem(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string pem(data, static_cast<size_t>(size));
  BIO_free(bio);
  return pem;
}

// A key and a certificate of its own signing, for a name and the address 127.0.0.1 if asked.
struct Identity {
  Identity(const std::string& name, bool with_address) {
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME* subject = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    X509_set_issuer_name(certificate, subject);
    const std::string names =
        with_address ? StrCat("DNS:", name, ",IP:127.0.0.1") : StrCat("DNS:", name);
    for (const auto& [id, value] :
         {std::pair<int, std::string>{NID_subject_alt_name, names},
          std::pair<int, std::string>{NID_basic_constraints, "critical,CA:TRUE"}}) {
      X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, id, value.c_str());
      X509_add_ext(certificate, extension, -1);
      X509_EXTENSION_free(extension);
    }
    X509_sign(certificate, key, EVP_sha256());
    BIO* bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, certificate);
    certificate_pem = TakePem(bio);
    bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
    key_pem = TakePem(bio);
    X509_free(certificate);
    EVP_PKEY_free(key);
  }
  std::string certificate_pem;
  std::string key_pem;
};

// Gives `context` the identity, and with `trusted` asks clients for a certificate of that
// authority.
void Use(SSL_CTX* context, const Identity& identity, const Identity* trusted) {
  BIO* bio = BIO_new_mem_buf(identity.certificate_pem.data(), -1);
  X509* certificate = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
  SSL_CTX_use_certificate(context, certificate);
  X509_free(certificate);
  BIO_free(bio);
  bio = BIO_new_mem_buf(identity.key_pem.data(), -1);
  EVP_PKEY* key = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
  SSL_CTX_use_PrivateKey(context, key);
  EVP_PKEY_free(key);
  BIO_free(bio);
  if (trusted == nullptr) return;
  bio = BIO_new_mem_buf(trusted->certificate_pem.data(), -1);
  X509* authority = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
  X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority);
  X509_free(authority);
  BIO_free(bio);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
}

// An HTTPS server that answers with its client's server name and the Host header.
std::unique_ptr<RawServer> TlsServer(const Identity& identity, const Identity* trusted = nullptr) {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  Use(context.get(), identity, trusted);
  return std::make_unique<RawServer>([context](RawConnection connection) {
    SSL* ssl = SSL_new(context.get());
    SSL_set_fd(ssl, connection.fd());
    std::string head;
    char byte = 0;
    if (SSL_accept(ssl) == 1) {
      while (!head.ends_with("\r\n\r\n") && SSL_read(ssl, &byte, 1) == 1) head.push_back(byte);
      const char* sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
      const size_t host = head.find("Host: ");
      const std::string body =
          StrCat(sni == nullptr ? "-" : sni, " ",
                 host == std::string::npos ? "" : head.substr(host, head.find('\r', host) - host));
      const std::string answer =
          StrCat("HTTP/1.1 200 OK\r\nContent-Length: ", body.size(), "\r\n\r\n", body);
      SSL_write(ssl, answer.data(), static_cast<int>(answer.size()));
      SSL_shutdown(ssl);
    }
    SSL_free(ssl);
  });
}

// The body of the answer, or the error.
std::string Ask(int port, const ClientConfig& config) {
  const auto client = Client::Create();
  ClientRequest request;
  request.url = StrCat("https://127.0.0.1:", port, "/metrics?a=b");
  request.config = std::make_shared<const ClientConfig>(config);
  const auto answer = (*client)->Fetch(request);
  return answer.ok() ? answer->body : std::string(Message(answer.status()));
}

TEST_CASE("A server is verified against the authority of the configuration, or not at all") {
  const Identity identity("server.example", true);
  const Identity other("other.example", true);
  const auto server = TlsServer(identity);
  const std::string good = StrCat("- Host: 127.0.0.1:", server->port());
  CHECK(Ask(server->port(), {}).substr(0, 5) == "tls: ");
  ClientConfig config;
  config.tls_insecure_skip_verify = true;
  CHECK(Ask(server->port(), config) == good);
  config = ClientConfig();
  config.tls_ca = identity.certificate_pem;
  CHECK(Ask(server->port(), config) == good);
  config.tls_ca = other.certificate_pem;
  CHECK(Ask(server->port(), config).substr(0, 5) == "tls: ");
  TempDir folder;
  config = ClientConfig();
  config.tls_ca_file = folder.File("ca.pem");
  REQUIRE(io::PosixFileSystem()
              ->WriteFileAtomically(config.tls_ca_file, identity.certificate_pem)
              .ok());
  CHECK(Ask(server->port(), config) == good);
  config.tls_ca_file = folder.File("absent.pem");
  CHECK(Ask(server->port(), config).substr(0, 5) == "tls: ");
}

TEST_CASE("The server name of the configuration is asked for and verified instead of the URL's") {
  const Identity identity("server.example", false);
  const auto server = TlsServer(identity);
  ClientConfig config;
  config.tls_ca = identity.certificate_pem;
  CHECK(Ask(server->port(), config).substr(0, 5) == "tls: ");
  config.tls_server_name = "server.example";
  CHECK(Ask(server->port(), config) == StrCat("server.example Host: 127.0.0.1:", server->port()));
  config.tls_server_name = "other.example";
  CHECK(Ask(server->port(), config).substr(0, 5) == "tls: ");
}

TEST_CASE("A client certificate is shown, from text and from files") {
  const Identity identity("server.example", true);
  const Identity client("client.example", false);
  const auto server = TlsServer(identity, &client);
  const std::string good = StrCat("- Host: 127.0.0.1:", server->port());
  ClientConfig config;
  config.tls_ca = identity.certificate_pem;
  CHECK(Ask(server->port(), config) != good);
  config.tls_cert = client.certificate_pem;
  config.tls_key = client.key_pem;
  CHECK(Ask(server->port(), config) == good);
  TempDir folder;
  ClientConfig files;
  files.tls_ca = identity.certificate_pem;
  files.tls_cert_file = folder.File("cert.pem");
  files.tls_key_file = folder.File("key.pem");
  REQUIRE(
      io::PosixFileSystem()->WriteFileAtomically(files.tls_cert_file, client.certificate_pem).ok());
  REQUIRE(io::PosixFileSystem()->WriteFileAtomically(files.tls_key_file, client.key_pem).ok());
  CHECK(Ask(server->port(), files) == good);
}

TEST_CASE("TLS versions are bounded") {
  const Identity identity("server.example", true);
  const auto server = TlsServer(identity);
  ClientConfig config;
  config.tls_ca = identity.certificate_pem;
  config.tls_min_version = "TLS13";
  CHECK(Ask(server->port(), config).substr(0, 7) == "- Host:");
  config.tls_max_version = "TLS12";
  config.tls_min_version = "TLS12";
  CHECK(Ask(server->port(), config).substr(0, 7) == "- Host:");
  config.tls_max_version = "TLS11";
  config.tls_min_version = "TLS10";
  CHECK(Ask(server->port(), config).substr(0, 7) != "- Host:");
}

}  // namespace
}  // namespace narthex::http
