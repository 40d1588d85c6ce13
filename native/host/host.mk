# vddk-host, the process that loads VDDK.
HOST_OBJECTS := $(patsubst host/%.cc,$(BUILD)/obj/host/%.o,$(wildcard host/*.cc))
TARGETS += $(BUILD)/vddk-host

$(BUILD)/obj/host/%.o: host/%.cc host/host.mk $(SETTINGS)
	@mkdir -p $(@D)
	$(CXX) $(CXXFLAGS) $(NATIVE_CXXFLAGS) -c -o $@ $<

# Linked statically with libstdc++: LD_LIBRARY_PATH points to VDDK's older one, which would be taken instead.
$(BUILD)/vddk-host: $(HOST_OBJECTS)
	$(CXX) -pthread -static-libstdc++ -static-libgcc -o $@.new $^ -ldl
	@mv $@.new $@

-include $(HOST_OBJECTS:.o=.d)
