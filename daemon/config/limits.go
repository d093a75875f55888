package config

import (
	"reflect"
	"time"
)

// Limit is one of the limits, for people and programs to read.
type Limit struct {
	Name  string // the key in the file
	Value int64
	Unit  string
}

// List returns all limits by their keys, in the file's order. Times are in milliseconds.
func (l *Limits) List() []Limit {
	value := reflect.ValueOf(*l)
	list := make([]Limit, value.NumField())
	for i := range list {
		field := value.Type().Field(i)
		list[i] = Limit{Name: field.Tag.Get("yaml"), Value: value.Field(i).Int(), Unit: field.Tag.Get("unit")}
		if field.Type == reflect.TypeFor[time.Duration]() {
			list[i].Value = time.Duration(list[i].Value).Milliseconds()
		}
	}
	return list
}
