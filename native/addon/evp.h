// The few OpenSSL 3 functions used here, declared by ourselves: node exports them from its own
// static OpenSSL, and a fresh machine has no OpenSSL headers. Signatures and constants are those
// of the public manual pages EVP_EncryptInit(3), EVP_aes_256_gcm(3) and EVP_DigestInit(3); crc32 is
// zlib's, which node exports as well (zlib.h).
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

typedef struct evp_md_ctx_st EVP_MD_CTX;

EVP_MD_CTX* EVP_MD_CTX_new(void);
void EVP_MD_CTX_free(EVP_MD_CTX* context);
int EVP_MD_CTX_copy_ex(EVP_MD_CTX* out, const EVP_MD_CTX* in);
const EVP_MD* EVP_sha256(void);
int EVP_DigestInit_ex(EVP_MD_CTX* context, const EVP_MD* type, ENGINE* engine);
int EVP_DigestUpdate(EVP_MD_CTX* context, const void* data, size_t length);
int EVP_DigestFinal_ex(EVP_MD_CTX* context, unsigned char* out, unsigned int* out_length);

unsigned long crc32_z(unsigned long crc, const unsigned char* data, size_t length);
}
#pragma GCC visibility pop

constexpr int kEvpCtrlAeadGetTag = 0x10;
constexpr int kEvpCtrlAeadSetTag = 0x11;
