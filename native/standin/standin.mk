# libvixDiskLib.so.8, a stand-in with VDDK's true binary interface. Its folder is a distribution root
# as InitEx and nbdkit expect it: the library lies in lib64.
STANDIN_LIBRARY := $(BUILD)/vddk-standin/lib64/libvixDiskLib.so.8
STANDIN_OBJECTS := $(patsubst standin/%.cc,$(BUILD)/obj/standin/%.o,$(wildcard standin/*.cc))
TARGETS += $(STANDIN_LIBRARY)

$(BUILD)/obj/standin/%.o: standin/%.cc standin/standin.mk $(SETTINGS)
	@mkdir -p $(@D)
	$(CXX) $(CXXFLAGS) $(NATIVE_CXXFLAGS) -c -o $@ $<

$(STANDIN_LIBRARY): $(STANDIN_OBJECTS) standin/exports.map
	@mkdir -p $(@D)
	$(CXX) -shared -pthread -Wl,-soname,libvixDiskLib.so.8 -Wl,--version-script=standin/exports.map -Wl,--no-undefined -o $@.new $(STANDIN_OBJECTS)
	@ln -sfn libvixDiskLib.so.8 $(@D)/libvixDiskLib.so
	@mv $@.new $@

-include $(STANDIN_OBJECTS:.o=.d)
