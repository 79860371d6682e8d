package behavior

import (
	"testing"

	"github.com/donapi/donapi/internal/callseq"
)

// Where the API decides the destination, its arguments do not: a messenger's webhook may be given as two numbers.
func TestDestinationOfTheAPI(t *testing.T) {
	hook := unknown("", 1)
	trace := &callseq.Trace{Calls: []callseq.Call{
		{ID: 1, Kind: callseq.KindNew, API: "discord.js.WebhookClient", Args: args(str("123456789012345678"), str("x"))},
		{ID: 2, Kind: callseq.KindCall, API: "discord.Webhook.send", Recv: &hook, Args: args(str("x"))},
	}}
	if d := load(t).matcher(trace, Subject{}).destination(&trace.Calls[1]); d.Class != "chat" {
		t.Errorf("destination is %+v, want class chat", d)
	}
}
