// The few OpenSSL 3 functions used here, declared by ourselves: node exports them from its own
// static OpenSSL, and a fresh machine has no OpenSSL headers. Signatures and constants are those
// of the public manual pages EVP_EncryptInit(3), EVP_aes_256_gcm(3) and HMAC(3).
#pragma once

#include <cstddef>

// The addon is built with hidden visibility; what comes from node must stay importable.
#pragma GCC visibility push(default)
extern "C" {
typedef struct evp_cipher_st EVP_CIPHER;
typedef struct evp_cipher_ctx_st EVP_CIPHER_CTX;
typedef struct evp_md_st EVP_MD;
typedef struct engine_st ENGINE;

EVP_CIPHER_CTX* EVP_CIPHER_CTX_new(void);
void EVP_CIPHER_CTX_free(EVP_CIPHER_CTX* context);
int EVP_CIPHER_CTX_ctrl(EVP_CIPHER_CTX* context, int type, int argument, void* pointer);
const EVP_CIPHER* EVP_aes_256_gcm(void);

int EVP_EncryptInit_ex(EVP_CIPHER_CTX* context, const EVP_CIPHER* cipher, ENGINE* engine, const unsigned char* key, const unsigned char* iv);
int EVP_EncryptUpdate(EVP_CIPHER_CTX* context, unsigned char* out, int* out_length, const unsigned char* in, int in_length);
int EVP_EncryptFinal_ex(EVP_CIPHER_CTX* context, unsigned char* out, int* out_length);
int EVP_DecryptInit_ex(EVP_CIPHER_CTX* context, const EVP_CIPHER* cipher, ENGINE* engine, const unsigned char* key, const unsigned char* iv);
int EVP_DecryptUpdate(EVP_CIPHER_CTX* context, unsigned char* out, int* out_length, const unsigned char* in, int in_length);
int EVP_DecryptFinal_ex(EVP_CIPHER_CTX* context, unsigned char* out, int* out_length);

const EVP_MD* EVP_sha256(void);
unsigned char* HMAC(const EVP_MD* md, const void* key, int key_length, const unsigned char* data, size_t length, unsigned char* out,
                    unsigned int* out_length);
}
#pragma GCC visibility pop

constexpr int kEvpCtrlAeadGetTag = 0x10;
constexpr int kEvpCtrlAeadSetTag = 0x11;
