package config

import "reflect"

// Reload returns old with the values of fresh that can change while the daemon runs, the keys that changed, and the
// keys that would have but need a restart.
func Reload(old, fresh *Config) (merged *Config, changed, restart []string) {
	result := *old
	merged = &result
	from, to := reflect.ValueOf(fresh).Elem(), reflect.ValueOf(merged).Elem()
	for i := range to.NumField() {
		if reflect.DeepEqual(from.Field(i).Interface(), to.Field(i).Interface()) {
			continue
		}
		field := to.Type().Field(i)
		key := field.Tag.Get("yaml")
		if field.Tag.Get("reload") != "yes" {
			restart = append(restart, key)
			continue
		}
		to.Field(i).Set(from.Field(i))
		changed = append(changed, key)
	}
	return merged, changed, restart
}
