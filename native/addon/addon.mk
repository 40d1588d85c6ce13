# The Node-API addon: shared memory and the CPU work of the repository (zero test, digest, zstd,
# AES-256-GCM, chunk table). zstd is compiled in, hidden, from the sources of the npm package
# zstd-napi; OpenSSL is the one inside node (evp.h).
ADDON_BUILD := $(BUILD)/addon
ZSTD_DIR := $(NODE_MODULES)/zstd-napi/deps/zstd/lib

ADDON_OBJECTS := $(patsubst addon/%.cc,$(ADDON_BUILD)/%.o,$(wildcard addon/*.cc))
ZSTD_SOURCES := $(wildcard $(addprefix $(ZSTD_DIR)/,common/*.c compress/*.c decompress/*.c decompress/*.S))
ZSTD_OBJECTS := $(patsubst $(ZSTD_DIR)/%,$(ADDON_BUILD)/zstd/%.o,$(ZSTD_SOURCES))

# Without ZSTD_MULTITHREAD a compression stays on the thread that called it; the threads are ours.
ZSTD_FLAGS := -O2 -fPIC -fvisibility=hidden -pthread -DXXH_NAMESPACE=ZSTD_ -DZSTDERRORLIB_VISIBLE= -DZSTDLIB_VISIBLE= -DZSTD_NO_TRACE
ADDON_FLAGS := $(NATIVE_CXXFLAGS) -fexceptions -DNAPI_VERSION=8 -DNAPI_CPP_EXCEPTIONS -DNODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS -DZSTDLIB_VISIBLE= -DZSTDERRORLIB_VISIBLE= \
  -isystem $(NODE_MODULES)/node-api-headers/include -isystem $(NODE_MODULES)/node-addon-api -isystem $(ZSTD_DIR)

TARGETS += $(BUILD)/vapp_vault.node

# nodelete: the last environment that ends would unload it under the threads of its pool.
$(BUILD)/vapp_vault.node: $(ADDON_OBJECTS) $(ZSTD_OBJECTS)
	$(CXX) -shared -pthread -Wl,-z,nodelete -Wl,-Bsymbolic -Wl,--as-needed -o $@.new $^
	@mv $@.new $@

$(ADDON_BUILD)/%.o: addon/%.cc addon/addon.mk $(SETTINGS)
	@mkdir -p $(@D)
	$(CXX) $(CXXFLAGS) $(ADDON_FLAGS) -c -o $@ $<

# The sources' dates say nothing (order only): npm renews them; the settings name the version.
$(ADDON_BUILD)/zstd/%.o: addon/addon.mk $(SETTINGS) | $(ZSTD_DIR)/%
	@mkdir -p $(@D)
	$(CC) $(ZSTD_FLAGS) -c -o $@ $(firstword $|)

-include $(ADDON_OBJECTS:.o=.d)
