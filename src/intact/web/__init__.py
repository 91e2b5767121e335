"""The viewer's page, built from web/, and a server that shows it to this machine alone."""
