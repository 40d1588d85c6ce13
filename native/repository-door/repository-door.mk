# Loaded into a worker by the fault harness alone (test/fault/repository-door.ts).
TARGETS += $(BUILD)/repository-door.so

$(BUILD)/repository-door.so: repository-door/repository-door.c repository-door/repository-door.mk $(SETTINGS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -fPIC -fvisibility=hidden -shared -pthread -o $@.new $<
	@mv $@.new $@
