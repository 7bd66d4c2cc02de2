// Millrace-member is one of the processes of `millrace load --processes`. It is started by millrace, beside which it lies.
package main

import (
	"os"

	"github.com/millrace/millrace/clients/crew/member"
)

func main() { os.Exit(member.Main()) }
