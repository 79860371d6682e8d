package internet

import (
	"bufio"
	"bytes"
	"errors"
	"strings"
	"time"
)

// dialog is a protocol of lines in which the server speaks first.
type dialog struct {
	proto  string
	banner string
	// replies to commands, by their first word; "" is for all others. A reply that begins with > asks for data until a line with a dot.
	replies map[string]string
}

var smtp = dialog{"smtp", "220 mail ESMTP ready\r\n", map[string]string{
	"EHLO":     "250-mail\r\n250-SIZE 35882577\r\n250-8BITMIME\r\n250-AUTH PLAIN\r\n250 ENHANCEDSTATUSCODES\r\n",
	"HELO":     "250 mail\r\n",
	"AUTH":     "235 2.7.0 Authentication successful\r\n",
	"STARTTLS": "454 4.7.0 TLS not available\r\n",
	"DATA":     ">354 End data with <CR><LF>.<CR><LF>\r\n",
	".":        "250 2.0.0 OK: queued\r\n",
	"QUIT":     "221 2.0.0 Bye\r\n",
	"":         "250 2.1.0 OK\r\n",
}}

var ftp = dialog{"ftp", "220 FTP server ready\r\n", map[string]string{
	"USER": "331 Please specify the password.\r\n",
	"PASS": "230 Login successful.\r\n",
	"SYST": "215 UNIX Type: L8\r\n",
	"PWD":  "257 \"/\" is the current directory\r\n",
	"TYPE": "200 Switching to Binary mode.\r\n",
	"EPSV": "229 Entering Extended Passive Mode (|||20021|)\r\n",
	"PASV": "227 Entering Passive Mode (192,168,1,1,78,53)\r\n",
	"STOR": "150 Ok to send data.\r\n226 Transfer complete.\r\n",
	"QUIT": "221 Goodbye.\r\n",
	"":     "200 OK\r\n",
}}

var (
	ssh  = dialog{"ssh", "SSH-2.0-OpenSSH_9.6\r\n", nil}
	imap = dialog{"imap", "* OK IMAP4rev1 ready\r\n", nil}
	pop3 = dialog{"pop3", "+OK POP3 ready\r\n", map[string]string{"": "+OK\r\n"}}
	irc  = dialog{"irc", "", map[string]string{"USER": ":server 001 guest :Welcome\r\n", "PING": "PONG\r\n", "": ""}}
)

// greeted is where a service that speaks first is found.
type greeted struct {
	port   uint16
	secure bool // inside TLS
}

var greetings = map[greeted]dialog{
	{21, false}:   ftp,
	{22, false}:   ssh,
	{25, false}:   smtp,
	{587, false}:  smtp,
	{2525, false}: smtp,
	{465, true}:   smtp,
	{110, false}:  pop3,
	{995, true}:   pop3,
	{143, false}:  imap,
	{993, true}:   imap,
	{6667, false}: irc,
	{6697, true}:  irc,
}

const maxLines = 100_000 // of one conversation

// dialogue plays the server of a line protocol; the whole conversation of the box is one message, or more when it is long.
func (i *Internet) dialogue(f *flow, d dialog) {
	f.wait(idle)
	if _, err := f.c.Write([]byte(d.banner)); err != nil {
		return
	}
	if d.replies == nil {
		i.raw(f, d.proto)
		return
	}
	if f.proto == "tcp" && bytes.Equal(f.peek(1), []byte{0x16}) { // TLS from the first byte, whatever the port
		i.serveTLS(f)
		return
	}
	var said []byte
	flush := func() {
		i.message(f, d.proto, said, false)
		said = said[:0]
	}
	defer flush()
	data := false
	for range maxLines {
		f.c.SetReadDeadline(time.Now().Add(idle))
		line, err := f.r.ReadSlice('\n')
		said = append(said, line...)
		if len(said) >= i.cfg.Body {
			flush()
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
		text := strings.TrimRight(string(line), "\r\n")
		if data && text != "." {
			continue
		}
		word, _, _ := strings.Cut(text, " ")
		reply, ok := d.replies[strings.ToUpper(word)]
		if !ok {
			reply = d.replies[""]
		}
		if data = strings.HasPrefix(reply, ">"); data {
			reply = reply[1:]
		}
		if _, err := f.c.Write([]byte(reply)); err != nil || strings.EqualFold(word, "QUIT") {
			return
		}
	}
}
